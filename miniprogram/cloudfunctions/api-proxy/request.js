/** What of a call may reach the gateway. Everything else is refused or dropped. */

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
const HEADERS = [
  'accept', 'accept-language', 'authorization', 'content-type', 'idempotency-key', 'if-match', 'if-none-match',
  'x-app-id', 'x-http-method-override', 'x-request-id',
];

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

/** @param {any} event @returns {Record<string, string>} the headers that may pass, in lower case */
function headersOf(event) {
  /** @type {Record<string, string>} */
  const headers = {};
  for (const [name, value] of Object.entries(event.headers || event.header || {})) {
    const key = name.toLowerCase();
    if (!HEADERS.includes(key)) continue;
    if (/[^\t\x20-\x7e]/.test(String(value))) throw invalid(`请求头 ${key} 含有不允许的字符`);
    headers[key] = String(value);
  }
  const override = headers['x-http-method-override'];
  if (override && override !== 'PATCH') throw invalid(`不支持的方法: ${override}`);
  return headers;
}

/** @param {any} event @returns {Buffer} */
function bodyOf(event) {
  const body = event.body === undefined ? event.data : event.body;
  if (body === undefined || body === null) return Buffer.alloc(0);
  if (event.isBase64Encoded) return Buffer.from(String(body), 'base64');
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

module.exports = { Refusal, bodyOf, headersOf, methodOf, urlOf };
