const { exportAccount } = require('../../utils/wechat-login');
const { messageOf, showError } = require('../../utils/message');

Page({
  data: { text: '', error: '' },

  onLoad() {
    return this.load();
  },

  onAgain() {
    return this.load();
  },

  async load() {
    this.setData({ error: '' });
    try {
      this.setData({ text: JSON.stringify(await exportAccount(), null, 2) });
    } catch (error) {
      this.setData({ error: messageOf(error) });
    }
  },

  /** WeChat opens the list of chats only right after a tap, so the data are there before. */
  onSend() {
    const filePath = `${wx.env.USER_DATA_PATH}/my-data.json`;
    try {
      wx.getFileSystemManager().writeFileSync(filePath, this.data.text, 'utf8');
      wx.shareFileMessage({ filePath, fail() {} }); // the user may change their mind
    } catch (error) {
      showError(error);
    }
  },
});
