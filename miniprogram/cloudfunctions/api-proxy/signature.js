const crypto = require('crypto');

/**
 * Headers that tell the gateway who is calling, in a way that only this function can write: HMAC-SHA256 in hex over five
 * lines: timestamp (seconds), appid, openid, method, path with query. authn/cloudfunction.go of the gateway verifies it.
 * @param {{secret: string, appid: string, openid: string, now: number, method: string, target: string}} call
 * @returns {Record<string, string>}
 */
function sign({ secret, appid, openid, now, method, target }) {
  const timestamp = String(Math.floor(now / 1000));
  const text = [timestamp, appid, openid, method, target].join('\n');
  return {
    'x-wxgate-openid': openid,
    'x-wxgate-appid': appid,
    'x-wxgate-timestamp': timestamp,
    'x-wxgate-signature': crypto.createHmac('sha256', secret).update(text).digest('hex'),
  };
}

module.exports = { sign };
