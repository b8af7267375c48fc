const { GatewayError } = require('./wechat-login');

/** What to show to the user; faults of our own code are in English and say nothing to them. @param {unknown} error @returns {string} */
function messageOf(error) {
  return (error instanceof GatewayError && error.message) || '出错了，请稍后再试';
}

/** @param {unknown} error */
function showError(error) {
  wx.showToast({ title: messageOf(error), icon: 'none' });
}

/** Asks before something that cannot be undone. @param {string} content @returns {Promise<boolean>} */
async function confirmed(content) {
  const { confirm } = await wx.showModal({ title: '请确认', content });
  return confirm;
}

module.exports = { confirmed, messageOf, showError };
