const { getLocalUserInfo, request } = require('../../utils/wechat-login');
const { messageOf } = require('../../utils/message');

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

  onShow() {
    return this.reload();
  },

  async onPullDownRefresh() {
    await this.reload();
    wx.stopPullDownRefresh();
  },

  async onReachBottom() {
    if (!this.data.complete && !this.data.loading) await this.load(this.data.recipes.length / LIMIT + 1);
  },

  onAgain() {
    return this.reload();
  },

  async reload() {
    this.setData({ user: getLocalUserInfo() });
    await this.load(1);
  },

  /** @param {number} page */
  async load(page) {
    this.setData({ loading: true, error: '' });
    try {
      const { items, total } = await this.fetchPage(page);
      const recipes = (page === 1 ? [] : this.data.recipes).concat(items.map(withInitial));
      this.setData({ recipes, complete: recipes.length >= total });
    } catch (error) {
      this.setData({ error: messageOf(error) });
    }
    this.setData({ loading: false, user: getLocalUserInfo() });
  },

  /** The list is for everybody: whose login has ended sees it as a guest. @param {number} page @returns {Promise<any>} */
  async fetchPage(page) {
    const list = { url: '/api/v1/recipes', data: { page, limit: LIMIT } };
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

  /** @param {WechatMiniprogram.TouchEvent} e */
  onOpen(e) {
    wx.navigateTo({ url: `/pages/recipe/recipe?id=${e.currentTarget.dataset.id}` });
  },
});

/** @param {{title: string}} recipe */
function withInitial(recipe) {
  return Object.assign({ initial: recipe.title.slice(0, 1) }, recipe);
}
