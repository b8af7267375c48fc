const { getLocalToken, request } = require('../../utils/wechat-login');
const { messageOf, showError } = require('../../utils/message');
const { unwatchNetwork, watchNetwork } = require('../../utils/network');
const { sharePoster } = require('../../utils/poster');

Page({
  data: {
    /** @type {any} */
    recipe: null,
    busy: false,
    error: '',
  },
  id: '',
  sequence: 0, // of the newest answer that is wanted; what an older one brings later is dropped

  /** @param {{id?: string}} query */
  onLoad(query) {
    this.id = encodeURIComponent(query.id || ''); // a link is anybody's: it names a recipe and no other path
  },

  /** Whoever comes back from the login is somebody else, with likes of their own. */
  onShow() {
    watchNetwork(this);
    return this.load();
  },

  onHide() {
    unwatchNetwork(this);
  },

  onUnload() {
    unwatchNetwork(this);
    this.sequence += 1;
  },

  onAgain() {
    return this.load();
  },

  async load() {
    const sequence = ++this.sequence;
    this.setData({ error: '' });
    const changes = await this.fetchRecipe('GET', '').catch((/** @type {unknown} */ e) => ({ error: messageOf(e) }));
    if (sequence === this.sequence) this.setData(changes);
  },

  async onLike() {
    if (!getLocalToken()) {
      wx.navigateTo({ url: '/pages/login/login' });
      return;
    }
    const sequence = ++this.sequence;
    this.setData({ busy: true });
    try {
      const changes = await this.fetchRecipe(this.data.recipe.liked ? 'DELETE' : 'POST', '/like');
      if (sequence === this.sequence) this.setData(changes);
    } catch (error) {
      showError(error);
    }
    this.setData({ busy: false });
  },

  /** @param {'GET' | 'POST' | 'DELETE'} method @param {string} part @returns {Promise<object>} what it changes on the page */
  async fetchRecipe(method, part) {
    const { data } = await request({ url: `/api/v1/recipes/${this.id}${part}`, method });
    return { recipe: data.data };
  },

  async onShare() {
    await sharePoster(this, '#poster', this.data.recipe).catch(showError);
  },
});
