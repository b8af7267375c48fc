const { getLocalToken, request } = require('../../utils/wechat-login');
const { messageOf, showError } = require('../../utils/message');
const { sharePoster } = require('../../utils/poster');

Page({
  data: {
    /** @type {any} */
    recipe: null,
    liked: false,
    busy: false,
    error: '',
  },
  id: '',

  /** @param {{id?: string}} query */
  onLoad(query) {
    this.id = encodeURIComponent(query.id || ''); // a link is anybody's: it names a recipe and no other path
    return this.load();
  },

  async load() {
    try {
      this.setData({ recipe: (await request({ url: `/api/v1/recipes/${this.id}` })).data.data });
    } catch (error) {
      this.setData({ error: messageOf(error) });
    }
  },

  async onLike() {
    if (!getLocalToken()) {
      wx.navigateTo({ url: '/pages/login/login' });
      return;
    }
    this.setData({ busy: true });
    try {
      const liked = await request({ url: `/api/v1/recipes/${this.id}/like`, method: 'POST' });
      this.setData({ recipe: liked.data.data, liked: true });
    } catch (error) {
      showError(error);
    }
    this.setData({ busy: false });
  },

  async onShare() {
    await sharePoster(this, '#poster', this.data.recipe).catch(showError);
  },
});
