const config = require('./config');
const { configure } = require('./utils/wechat-login');

App({
  onLaunch() {
    const { envVersion } = wx.getAccountInfoSync().miniProgram;
    // A device that was logged out from another one stays logged out until its user logs in again.
    configure(Object.assign({ silentLogin: 'unless-revoked' }, config[envVersion]));
  },
});
