const crypto = require('crypto');

/**
 * Headers that tell the gateway who is calling, in a way that only this function can write: HMAC-SHA256 in hex over six
 * lines, timestamp (seconds), appid, openid, method, path with query, SHA-256 of the body in hex.
 * @param {{secret: string, appid: string, openid: string, now: number, method: string, target: string, body: Buffer}} call
 * @returns {Record<string, string>}
 */
function sign({ secret, appid, openid, now, method, target, body }) {
  const timestamp = String(Math.floor(now / 1000));
  const digest = crypto.createHash('sha256').update(body).digest('hex');
  const text = [timestamp, appid, openid, method, target, digest].join('\n');
  return {
    'x-proxy-openid': openid,
    'x-proxy-appid': appid,
    'x-proxy-timestamp': timestamp,
    'x-proxy-signature': crypto.createHmac('sha256', secret).update(text).digest('hex'),
  };
}

module.exports = { sign };
