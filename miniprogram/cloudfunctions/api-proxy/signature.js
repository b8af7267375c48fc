const crypto = require('crypto');

/**
 * Headers that tell the gateway who is calling and with what body, in a way that only this function can write: HMAC-SHA256
 * in hex over seven lines: v2, timestamp (seconds), appid, openid, method, path with query, SHA-256 of the body in hex.
 * authn/cloudfunction.go of the gateway verifies it. x-wxgate-signature, without the first line and the last, is for a
 * gateway that is older than this function; a newer one does not believe it.
 * @param {{secret: string, appid: string, openid: string, now: number, method: string, target: string, body: string | Buffer}} call
 * @returns {Record<string, string>}
 */
function sign({ secret, appid, openid, now, method, target, body }) {
  const timestamp = String(Math.floor(now / 1000));
  const content = crypto.createHash('sha256').update(body).digest('hex');
  const lines = [timestamp, appid, openid, method, target];
  const hmac = (/** @type {string[]} */ text) => crypto.createHmac('sha256', secret).update(text.join('\n')).digest('hex');
  return {
    'x-wxgate-openid': openid,
    'x-wxgate-appid': appid,
    'x-wxgate-timestamp': timestamp,
    'x-wxgate-content-sha256': content,
    'x-wxgate-signature-v2': hmac(['v2', ...lines, content]),
    'x-wxgate-signature': hmac(lines),
  };
}

module.exports = { sign };
