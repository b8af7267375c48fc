const { GatewayError } = require('./wechat-login');

/** A failed login carries WeChat's own words, which are English; developers search for the number. */
const ENGLISH = /^微信登录失败: [\x20-\x7e]+ \(错误码: (-?\d+)\)$/;

/**
 * What to show to the user; faults of our own code are in English and say nothing to them.
 * @param {unknown} error @returns {string}
 */
function messageOf(error) {
  const { message, reason, quota } = error instanceof GatewayError ? error : new GatewayError(0, '', '');
  if (reason === 'quota_exceeded' && quota) return `今天的 ${quota.limit} 次用完了，${Math.ceil(quota.reset / 3600)} 小时后再来`;
  return message.replace(ENGLISH, '微信登录失败，请再试一次（错误码 $1）') || '出错了，请稍后再试';
}

/** @param {unknown} error */
function showError(error) {
  wx.showToast({ title: messageOf(error), icon: 'none' });
}

/**
 * Asks before something that cannot be undone.
 * @param {string} content @returns {Promise<boolean>}
 */
async function confirmed(content) {
  const { confirm } = await wx.showModal({ title: '请确认', content });
  return confirm;
}

module.exports = { confirmed, messageOf, showError };
