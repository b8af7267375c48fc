const { createConnections, exchange } = require('./exchange');
const { HOP, Refusal, bodyOf, headersOf, methodOf, urlOf } = require('./request');
const { sign } = require('./signature');

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
      return answerOf(response, body, Object(event));
    } catch (error) {
      return refusalOf(error);
    }
  };
}

/** @param {any} event @param {any} settings @param {() => {OPENID?: string, APPID?: string}} caller */
function callOf(event, settings, caller) {
  const method = methodOf(event);
  const url = urlOf(event, settings);
  const headers = headersOf(event);
  const body = method === 'GET' || method === 'HEAD' ? Buffer.alloc(0) : bodyOf(event, headers['content-type']);
  const { OPENID: openid, APPID: appid = '' } = caller();
  const signed = settings.secret && openid
    ? sign({ secret: settings.secret, appid, openid, now: Date.now(), method, target: url.pathname + url.search, body })
    : {};
  /** @type {Record<string, string | number>} */
  const length = body.length || (method !== 'GET' && method !== 'HEAD') ? { 'content-length': body.length } : {};
  const type = body.length ? { 'content-type': 'application/json' } : {};
  return { method, url, body, headers: Object.assign({}, type, headers, length, signed) };
}

/**
 * An answer as wx.request gives it: bytes when they were asked for, else JSON when the text is JSON. Bytes that are no
 * text are bytes whatever was asked for; an event is JSON, so they travel as base64.
 * @param {import('http').IncomingMessage} response @param {Buffer} body
 * @param {{responseType?: string, dataType?: string}} wanted
 */
function answerOf(response, body, { responseType, dataType = 'json' }) {
  const statusCode = response.statusCode || 502;
  const passing = Object.entries(response.headers).filter(([name]) => !HOP.includes(name));
  const headers = Object.fromEntries(passing.map(([name, value]) => [name, String(value)]));
  const text = body.toString();
  const isText = Buffer.from(text).equals(body);
  if (responseType === 'arraybuffer' || !isText) return { statusCode, headers, data: body.toString('base64'), isBase64Encoded: true };
  return { statusCode, headers, data: dataType === 'json' ? fromJSON(text) : text };
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
