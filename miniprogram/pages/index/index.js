const { getLocalUserInfo, request } = require('../../utils/wechat-login');
const { messageOf } = require('../../utils/message');
const { unwatchNetwork, watchNetwork } = require('../../utils/network');

const LIMIT = 20;

Page({
  data: {
    /** @type {import('../../utils/wechat-login').User | null} */
    user: null,
    /** @type {any[]} */
    recipes: [],
    complete: false,
    loading: false,
    error: '',
  },
  sequence: 0, // of the newest load; what an older one brings later is dropped

  onHide() {
    unwatchNetwork(this);
  },

  onUnload() {
    unwatchNetwork(this);
    this.sequence += 1;
  },

  /** Whoever comes back from a recipe finds as many as they left. */
  onShow() {
    watchNetwork(this);
    const pages = Math.ceil(this.data.recipes.length / LIMIT) || 1;
    return this.reload(pages * LIMIT);
  },

  async onPullDownRefresh() {
    await this.reload(LIMIT);
    wx.stopPullDownRefresh();
  },

  async onReachBottom() {
    if (!this.data.complete && !this.data.loading) await this.load(Math.ceil(this.data.recipes.length / LIMIT) + 1, LIMIT);
  },

  onAgain() {
    return this.reload(LIMIT);
  },

  /** @param {number} limit */
  async reload(limit) {
    this.setData({ user: getLocalUserInfo() });
    await this.load(1, limit);
  },

  /** @param {number} page @param {number} limit */
  async load(page, limit) {
    const sequence = ++this.sequence;
    this.setData({ loading: true, error: '' });
    const changes = await this.changesOf(page, limit).catch((/** @type {unknown} */ e) => ({ error: messageOf(e) }));
    if (sequence === this.sequence) this.setData(Object.assign(changes, { loading: false, user: getLocalUserInfo() }));
  },

  /** @param {number} page @param {number} limit @returns {Promise<object>} */
  async changesOf(page, limit) {
    const { items, total } = await this.fetchPage(page, limit);
    const recipes = (page === 1 ? [] : this.data.recipes).concat(items.map(withInitial));
    return { recipes, complete: recipes.length >= total };
  },

  /**
   * The list is for everybody: whose login has ended sees it as a guest.
   * @param {number} page @param {number} limit @returns {Promise<any>}
   */
  async fetchPage(page, limit) {
    const list = { url: '/api/v1/recipes', data: { page, limit } };
    try {
      return (await request(list)).data.data;
    } catch (error) {
      if (getLocalUserInfo() || !this.data.user) throw error;
      this.setData({ user: null });
      wx.showToast({ title: '登录已失效，请重新登录', icon: 'none' });
      return (await request(list)).data.data;
    }
  },

  onMe() {
    wx.navigateTo({ url: this.data.user ? '/pages/profile/profile' : '/pages/login/login' });
  },

  onChef() {
    wx.navigateTo({ url: '/pages/chef/chef' });
  },

  /** @param {WechatMiniprogram.TouchEvent} e */
  onOpen(e) {
    wx.navigateTo({ url: `/pages/recipe/recipe?id=${e.currentTarget.dataset.id}` });
  },
});

/** @param {{title: string}} recipe */
function withInitial(recipe) {
  return Object.assign({ initial: Array.from(recipe.title)[0] }, recipe);
}
