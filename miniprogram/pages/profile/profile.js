const { square } = require('../../utils/avatar');
const { bindPhone, deleteAccount, getLocalUserInfo, logout, request, upload } = require('../../utils/wechat-login');
const { confirmed, messageOf, showError } = require('../../utils/message');
const { unwatchNetwork, watchNetwork } = require('../../utils/network');

const PROFILE = '/api/v1/user/profile';
const SESSIONS = '/api/v1/auth/sessions';
const PHONE = 'bound_phone'; // {user, shown}: the gateway tells the number once, and this phone keeps only what it shows

Page({
  data: {
    /** @type {any} */
    user: null, // until it is known: what arrives later would wipe what was typed
    /** @type {any[]} */
    devices: [],
    phone: '',
    busy: false,
    error: '',
  },
  sequence: 0, // of the newest list of devices; an older one that comes later is dropped
  gone: false,

  async onLoad() {
    try {
      this.show((await request({ url: PROFILE })).data.data);
      await this.loadDevices();
    } catch (error) {
      this.show(getLocalUserInfo());
      this.fail(error);
    }
  },

  onShow() {
    watchNetwork(this);
  },

  onHide() {
    unwatchNetwork(this);
  },

  onUnload() {
    unwatchNetwork(this);
    this.gone = true;
  },

  /** What is missing of the page; the fields stay as they are, something may be typed there. */
  async onAgain() {
    this.setData({ error: '' });
    await this.loadDevices().catch((error) => this.fail(error));
  },

  /** @param {import('../../utils/wechat-login').User | null} user */
  show(user) {
    const phone = wx.getStorageSync(PHONE);
    this.setData({ user, phone: user && phone.user === user.id ? phone.shown : '' });
  },

  async loadDevices() {
    const sequence = ++this.sequence;
    const { data } = await request({ url: SESSIONS });
    if (sequence === this.sequence) this.setData({ devices: data.data.map(withSince) });
  },

  /**
   * Whose login has ended goes to the login page; other faults are told here.
   * @param {unknown} error
   */
  fail(error) {
    if (this.gone) return;
    if (getLocalUserInfo()) this.setData({ error: messageOf(error) });
    else wx.redirectTo({ url: '/pages/login/login' });
  },

  /** @param {WechatMiniprogram.CustomEvent<{avatarUrl: string}>} e */
  async onChooseAvatar(e) {
    const filePath = await square(e.detail.avatarUrl);
    await this.save(async () => {
      const { data } = await upload({ url: '/api/v1/uploads', filePath });
      return { avatar: data.data.url };
    });
  },

  /** @param {WechatMiniprogram.FormSubmit} e */
  async onSave(e) {
    const { nickname, bio } = e.detail.value;
    await this.save(async () => ({ nickname, bio }));
  },

  /** @param {() => Promise<object>} changes */
  async save(changes) {
    this.setData({ busy: true, error: '' });
    try {
      const wanted = await changes();
      const saved = (await request({ url: PROFILE, method: 'PUT', data: wanted })).data.data;
      // The other fields stay as they are: something may be typed there that is not saved yet.
      for (const field of Object.keys(wanted)) this.setData({ [`user.${field}`]: saved[field] });
      wx.showToast({ title: '已保存' });
    } catch (error) {
      this.fail(error);
    }
    this.setData({ busy: false });
  },

  /** @param {WechatMiniprogram.ButtonGetPhoneNumber} e */
  async onPhone(e) {
    try {
      const { purePhoneNumber } = await bindPhone(e.detail);
      const shown = purePhoneNumber.replace(/^(\d{3})\d{4}/, '$1****');
      wx.setStorageSync(PHONE, { user: this.data.user.id, shown });
      this.setData({ phone: shown });
    } catch (error) {
      showError(error);
    }
  },

  /** @param {WechatMiniprogram.TouchEvent} e */
  async onEnd(e) {
    if (!(await confirmed('让这台设备退出登录？'))) return;
    try {
      await request({ url: `${SESSIONS}/${e.currentTarget.dataset.id}`, method: 'DELETE' });
      await this.loadDevices();
    } catch (error) {
      showError(error);
    }
  },

  async onLogout() {
    await this.leave(false);
  },

  async onLogoutEverywhere() {
    if (await confirmed('在所有设备上退出登录？')) await this.leave(true);
  },

  onExport() {
    wx.navigateTo({ url: '/pages/export/export' });
  },

  async onDelete() {
    if (!(await confirmed('账号和资料将被删除，所有设备退出登录。确定注销？'))) return;
    this.setData({ busy: true, error: '' });
    try {
      const { deletes_at: at } = await deleteAccount();
      wx.removeStorageSync(PHONE);
      if (at) await wx.showModal({ title: '已申请注销', content: `${timeOf(at)} 之前重新登录，即可撤回`, showCancel: false });
      wx.reLaunch({ url: '/pages/index/index' });
    } catch (error) {
      this.fail(error);
    }
    this.setData({ busy: false });
  },

  /** @param {boolean} all */
  async leave(all) {
    const told = await logout({ all });
    wx.removeStorageSync(PHONE);
    if (!told) wx.showToast({ title: '已在本机退出，网关未确认', icon: 'none' });
    wx.reLaunch({ url: '/pages/index/index' });
  },
});

/** @param {{created_at: string}} session */
function withSince(session) {
  return Object.assign({ since: timeOf(session.created_at) }, session);
}

/** @param {string} stamp @returns {string} as the clock of this phone has it */
function timeOf(stamp) {
  const date = new Date(stamp);
  const time = [date.getHours(), date.getMinutes()].map((part) => String(part).padStart(2, '0')).join(':');
  return `${date.getMonth() + 1} 月 ${date.getDate()} 日 ${time}`;
}
