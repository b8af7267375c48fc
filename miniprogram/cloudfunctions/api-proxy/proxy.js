const { createConnections, exchange } = require('./exchange');
const { Refusal, bodyOf, headersOf, methodOf, urlOf } = require('./request');
const { sign } = require('./signature');

const BACK = ['content-type', 'etag', 'last-modified', 'location', 'retry-after', 'x-request-id'];

/**
 * @param {ReturnType<typeof import('./settings').readSettings>} settings
 * @param {() => {OPENID?: string, APPID?: string}} caller
 * @returns {(event?: any) => Promise<{statusCode: number, headers: object, data: any, isBase64Encoded?: boolean}>} never
 * rejects: a client that gets an exception instead of a 401 cannot log in again
 */
function createProxy(settings, caller) {
  const connections = createConnections(settings.upstream);
  return async function proxy(event) {
    try {
      const { response, body } = await exchange(connections, callOf(Object(event), settings, caller), settings);
      return answerOf(response, body);
    } catch (error) {
      return refusalOf(error);
    }
  };
}

/** @param {any} event @param {any} settings @param {() => {OPENID?: string, APPID?: string}} caller */
function callOf(event, settings, caller) {
  const method = methodOf(event);
  const url = urlOf(event, settings);
  const body = method === 'GET' ? Buffer.alloc(0) : bodyOf(event);
  const { OPENID: openid, APPID: appid = '' } = caller();
  const signed = settings.secret && openid
    ? sign({ secret: settings.secret, appid, openid, now: Date.now(), method, target: url.pathname + url.search, body })
    : {};
  /** @type {Record<string, string | number>} */
  const length = body.length || method !== 'GET' ? { 'content-length': body.length } : {};
  const type = body.length ? { 'content-type': 'application/json' } : {};
  return { method, url, body, headers: Object.assign({}, type, headersOf(event), length, signed) };
}

/** @param {import('http').IncomingMessage} response @param {Buffer} body */
function answerOf(response, body) {
  const headers = Object.fromEntries(BACK.filter((name) => response.headers[name]).map((name) => [name, response.headers[name]]));
  const statusCode = response.statusCode || 502;
  const type = response.headers['content-type'] || '';
  if (/[/+]json\b/.test(type)) return { statusCode, headers, data: fromJSON(body.toString()) };
  if (/^text\/|^$/.test(type)) return { statusCode, headers, data: body.toString() };
  return { statusCode, headers, data: body.toString('base64'), isBase64Encoded: true };
}

/** @param {string} text */
function fromJSON(text) {
  try {
    return JSON.parse(text);
  } catch (_) {
    return text;
  }
}

/** An answer of our own looks like one of the gateway. @param {unknown} error */
function refusalOf(error) {
  const refusal = error instanceof Refusal ? error : new Refusal(500, 'internal', '云函数内部错误');
  const { status, reason, message } = refusal;
  const data = { code: status, message, error: 'api-proxy', reason, timestamp: new Date().toISOString() };
  return { statusCode: status, headers: {}, data };
}

module.exports = { createProxy };
