const { square } = require('../../utils/avatar');
const { wechatLogin } = require('../../utils/wechat-login');
const { isOlder } = require('../../utils/version');
const { messageOf } = require('../../utils/message');

Page({
  data: { avatarUrl: '', nickName: '', agreed: false, busy: false, error: '', oldProfile: false },
  gone: false, // the user went back while the login was under way

  onLoad() {
    // Below 2.27.1 (PC, Mac) getUserProfile still gives the real name and avatar; elsewhere it gives 微信用户 and grey.
    const { SDKVersion } = (wx.getAppBaseInfo || wx.getSystemInfoSync)(); // the first is of 2.20.1
    this.setData({ oldProfile: Boolean(wx.getUserProfile) && isOlder(SDKVersion, '2.27.1') });
  },

  /** @param {WechatMiniprogram.CustomEvent<{avatarUrl: string}>} e */
  async onChooseAvatar(e) {
    this.setData({ avatarUrl: await square(e.detail.avatarUrl) });
  },

  onUseProfile() {
    wx.getUserProfile({
      desc: '用于显示你的头像和昵称',
      success: ({ userInfo }) => this.setData({ avatarUrl: userInfo.avatarUrl, nickName: userInfo.nickName }),
    });
  },

  onAgree() {
    this.setData({ agreed: !this.data.agreed, error: '' });
    // The nickname field is an ordinary one until then, and cannot ask by itself.
    if (this.data.agreed && wx.requirePrivacyAuthorize) wx.requirePrivacyAuthorize({ fail() {} });
  },

  onReadContract() {
    wx.openPrivacyContract({});
  },

  /**
   * The nickname is read here and not while typing: WeChat may clear it when the field loses focus.
   * @param {WechatMiniprogram.FormSubmit} e
   */
  async onSubmit(e) {
    if (!this.data.agreed) {
      this.setData({ error: '请先阅读并同意隐私保护指引' });
      return;
    }
    this.setData({ busy: true, error: '', nickName: (e.detail.value.nickName || '').trim() });
    try {
      const { avatarError } = await wechatLogin({ nickName: this.data.nickName, avatarUrl: this.data.avatarUrl });
      if (avatarError) wx.showToast({ title: `头像没有保存：${messageOf(avatarError)}`, icon: 'none' });
      this.leave();
    } catch (error) {
      this.setData({ error: messageOf(error) });
    } finally {
      this.setData({ busy: false });
    }
  },

  onSkip() {
    this.leave();
  },

  onUnload() {
    this.gone = true;
  },

  /** Back to where the user came from. */
  leave() {
    if (this.gone) return;
    if (getCurrentPages().length > 1) wx.navigateBack();
    else wx.reLaunch({ url: '/pages/index/index' });
  },
});
