const { getLocalToken, payVirtual, request } = require('../../utils/wechat-login');
const { confirmed, messageOf, showError } = require('../../utils/message');
const { unwatchNetwork, watchNetwork } = require('../../utils/network');
const { sharePoster } = require('../../utils/poster');

const DELIVERY_TRIES = 15; // a second apart: WeChat's message takes 5 to 12 s

Page({
  data: {
    /** @type {any} */
    recipe: null,
    busy: false,
    error: '',
  },
  id: '',
  gone: false, // the user left
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
    this.gone = true;
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

  async onBuy() {
    if (!getLocalToken()) {
      wx.navigateTo({ url: '/pages/login/login' });
      return;
    }
    this.setData({ busy: true });
    try {
      await payVirtual({ recipe: this.data.recipe.id });
      wx.showToast({ title: '已付款，正在发货', icon: 'none' });
      await this.untilBoughtIs(true);
    } catch (/** @type {any} */ error) {
      if (error.reason !== 'cancelled') await this.onUnpaid(error);
    }
    this.setData({ busy: false });
  },

  /** It may be paid all the same, on another device or before an answer was lost: the service knows. @param {unknown} error */
  async onUnpaid(error) {
    showError(error);
    await this.load();
  },

  async onRefund() {
    if (!(await confirmed('退款后看不到做法，确定退款？'))) return;
    this.setData({ busy: true });
    try {
      await request({ url: `/api/v1/recipes/${this.id}/refund`, method: 'POST' });
      await this.untilBoughtIs(false);
    } catch (error) {
      showError(error);
    }
    this.setData({ busy: false });
  },

  /**
   * The phone knows that money has moved, the service learns it from WeChat: ask until it has.
   * @param {boolean} wanted
   */
  async untilBoughtIs(wanted) {
    for (let i = 0; i < DELIVERY_TRIES && !this.gone; i += 1) {
      await this.load();
      if (Boolean(this.data.recipe.bought) === wanted) return;
      await new Promise((resolve) => { setTimeout(resolve, 1000); });
    }
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
