const { getLocalToken, stream } = require('../../utils/wechat-login');
const { messageOf } = require('../../utils/message');

Page({
  data: { answer: '', asking: false, error: '' },
  /** @type {import('../../utils/wechat-login').Stream | null} */
  running: null,

  onUnload() {
    this.stop();
  },

  /**
   * One button asks and stops: a second one in its place would be hit by who taps twice.
   * @param {WechatMiniprogram.FormSubmit} e
   */
  async onSubmit(e) {
    const question = (e.detail.value.question || '').trim();
    if (this.data.asking) this.stop();
    else if (question && !getLocalToken()) wx.navigateTo({ url: '/pages/login/login' });
    else if (question) await this.ask(question);
  },

  /** @param {string} question */
  async ask(question) {
    this.setData({ answer: '', asking: true, error: '' });
    const onChunk = (/** @type {string} */ text) => this.setData({ answer: this.data.answer + text });
    try {
      this.running = stream({ url: '/api/v1/chef', method: 'POST', data: { question }, onChunk });
      await this.running;
    } catch (/** @type {any} */ error) {
      if (error.reason !== 'aborted') this.setData({ error: messageOf(error) });
    }
    this.setData({ asking: false });
  },

  stop() {
    if (this.running) this.running.abort();
  },
});
