/** What of a call reaches the gateway: all that a mini-program may say itself, and nothing that others say for it. */

const METHODS = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** Of one connection (RFC 9110 §7.6.1), never of the next. */
const HOP = [
  'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade',
];
/** Written by this function alone; nothing here unpacks what Accept-Encoding would bring. */
const OWN = ['accept-encoding', 'content-length', 'expect', 'host', 'via'];
/** Who is calling and from where: the gateway says so to services, and proxies say so to the gateway. */
const IDENTITY = new RegExp(`^(${[
  'x-user-.*', 'x-wx-.*', 'x-wxgate-.*', 'x-forwarded.*', 'forwarded', 'x-original-.*', 'x-originating-.*', 'x-remote-.*', 'remote-.*', 'x-envoy-.*',
  'x-real-ip', 'x-client-ip', 'x-cluster-client-ip', 'x-proxyuser-ip', 'true-client-ip', 'cf-connecting-ip.*', 'fastly-client-ip',
].join('|')})$`);
const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/; // RFC 9110 §5.6.2

/** The answer to a call that is not carried out. */
class Refusal extends Error {
  /** @param {number} status @param {string} reason @param {string} message */
  constructor(status, reason, message) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

/** @param {string} message */
const invalid = (message) => new Refusal(400, 'invalid_request', message);

/** @param {any} event @returns {string} */
function methodOf(event) {
  const method = String(event.method || 'GET').toUpperCase();
  if (!METHODS.includes(method)) throw invalid(`不支持的方法: ${method}`);
  return method;
}

/**
 * The URL of a path below the prefix, whatever way it was written. A path with two readings is refused, not repaired.
 * @param {any} event @param {{upstream: URL, prefix: string}} settings @returns {URL}
 */
function urlOf(event, { upstream, prefix }) {
  const path = String(event.path || '');
  const ambiguous = /[\\\x00-\x20\x7f]|\/\/|%2e|%2f|%5c|%00|(^|\/)\.{1,2}(\/|$)/i.test(path.split('?')[0]);
  const url = path.startsWith('/') && !ambiguous ? parsed(path, upstream) : null;
  if (!url || url.origin !== upstream.origin || !url.pathname.startsWith(prefix)) throw invalid('不允许的路径');
  for (const [name, value] of Object.entries(event.query || {})) url.searchParams.append(name, String(value));
  return url;
}

/** @param {string} path @param {URL} upstream */
function parsed(path, upstream) {
  try {
    return new URL(path, upstream);
  } catch (_) {
    return null;
  }
}

/** @param {string} name in lower case @returns {boolean} whether a caller may send it */
const mayPass = (name) => NAME.test(name) && !HOP.includes(name) && !OWN.includes(name) && !IDENTITY.test(name);

/** @param {any} event @returns {Record<string, string>} the headers that may pass, in lower case */
function headersOf(event) {
  /** @type {Record<string, string>} */
  const headers = {};
  for (const [name, value] of Object.entries(event.headers || event.header || {})) {
    const key = name.toLowerCase();
    if (!mayPass(key)) continue;
    if (/[^\t\x20-\x7e]/.test(String(value))) throw invalid(`请求头 ${key} 含有不允许的字符`);
    headers[key] = String(value);
  }
  const override = headers['x-http-method-override'];
  if (override && override !== 'PATCH') throw invalid(`不支持的方法: ${override}`);
  return headers;
}

/** Bytes as they are, and objects as wx.request sends them. @param {any} event @param {string} [type] its Content-Type @returns {Buffer} */
function bodyOf(event, type = '') {
  const body = event.body === undefined ? event.data : event.body;
  if (body === undefined || body === null) return Buffer.alloc(0);
  if (event.isBase64Encoded) return Buffer.from(String(body), 'base64');
  if (typeof body === 'object' && /^application\/x-www-form-urlencoded\b/i.test(type)) return Buffer.from(new URLSearchParams(body).toString());
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

module.exports = { HOP, Refusal, bodyOf, headersOf, methodOf, urlOf };
