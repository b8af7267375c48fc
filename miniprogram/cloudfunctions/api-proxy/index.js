const { createProxy } = require('./proxy');
const { readSettings } = require('./settings');

const settings = readSettings(process.env);

/** Who is calling, as the platform says. The SDK takes 250 ms to load, so only a function that signs loads it. */
function loadCaller() {
  if (!settings.secret) return () => ({});
  const cloud = require('wx-server-sdk');
  cloud.init({ env: cloud.DYNAMIC_CURRENT_ENV });
  return () => cloud.getWXContext();
}

exports.main = createProxy(settings, loadCaller());
