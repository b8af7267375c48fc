/**
 * How a request reaches the gateway: wx.request, wx.cloud.callContainer or the cloud function api-proxy. Whatever the
 * way, an answer is {statusCode, header, data} with lower-case header names, and a failure is a GatewayError.
 */

/** @typedef {{statusCode: number, header: Record<string, string>, data: any, tempFilePath?: string}} Answer */
/** @typedef {{method: string, path: string, header: Record<string, string>, data?: any, timeout: number}} Outgoing */
/**
 * @typedef {object} Options
 * @property {string} [baseUrl] https://… of the gateway, without a / at its end
 * @property {'request' | 'container' | 'function'} [transport] the way of request(); files and sockets need baseUrl
 * @property {string} [env] the cloud environment, for container and function
 * @property {string} [service] the Cloud Run service, for container
 * @property {string} [functionName]
 * @property {boolean} [cloudLogin] log in by the openid that the cloud vouches for, without wx.login
 * @property {'always' | 'unless-revoked'} [silentLogin] whether a session that was ended elsewhere comes back by itself
 * @property {string} [uploadPath] where wechatLogin sends an avatar
 * @property {number} [timeout] milliseconds
 */

/**
 * What a GatewayError is; errMsg is what WeChat said of a call that got no answer.
 * @typedef {Error & {code: number, reason: string, requestId: string, errMsg?: string}} Failure
 */

/** What went wrong. code is the HTTP status, 0 when there was no answer; decide by reason. */
class GatewayError extends Error {
  /** @param {number} code @param {string} reason @param {string} message @param {string} [requestId] */
  constructor(code, reason, message, requestId) {
    super(message);
    this.name = 'GatewayError';
    this.code = code;
    this.reason = reason;
    this.requestId = requestId || '';
  }
}

/** @param {{errMsg?: string}} failure of a wx call that never got an answer */
function networkError(failure) {
  const { errMsg = '' } = failure;
  const [reason, message] = /time ?out/i.test(errMsg) ? ['timeout', '网络超时，请稍后再试'] : ['network', '网络不可用，请检查网络后再试'];
  return Object.assign(new GatewayError(0, reason, message), { errMsg });
}

/** @param {Answer} answer with a status of 400 or more */
function refusal(answer) {
  const body = Object(answer.data);
  const requestId = body.request_id || answer.header['x-request-id'];
  return new GatewayError(answer.statusCode, body.reason || 'http', body.message || '服务异常，请稍后再试', requestId);
}

/** @param {Record<string, any>} [header] */
function lowerCase(header) {
  /** @type {Record<string, string>} */
  const lower = {};
  for (const [name, value] of Object.entries(header || {})) lower[name.toLowerCase()] = String(value);
  return lower;
}

/**
 * @param {(options: any) => any} api a wx function that takes success and fail
 * @param {object} options
 * @returns {Promise<any>}
 */
function call(api, options) {
  return new Promise((resolve, reject) => {
    api(Object.assign({}, options, { success: resolve, fail: (/** @type {any} */ e) => reject(networkError(e)) }));
  });
}

/** @param {any} result @returns {Answer} */
function answerOf(result) {
  return { statusCode: result.statusCode, header: lowerCase(result.header || result.headers), data: result.data };
}

/** @type {Record<string, (out: Outgoing, options: Options) => Promise<any>>} */
const ways = {
  request: (out, options) => call(wx.request, {
    url: options.baseUrl + out.path, method: out.method, header: out.header, data: out.data, timeout: out.timeout,
  }),
  container: (out, options) => call((o) => wx.cloud.callContainer(o), {
    config: { env: options.env }, path: out.path, method: out.method, data: out.data, timeout: out.timeout,
    header: Object.assign({ 'X-WX-SERVICE': options.service }, out.header),
  }),
  function: async (out, options) => {
    const data = { method: out.method, path: out.path, headers: out.header, data: out.data };
    const config = { env: options.env };
    return (await call((o) => wx.cloud.callFunction(o), { name: options.functionName, config, data })).result;
  },
};

/** wx.request has no PATCH, so it travels as a POST that says so. @param {Outgoing} out @returns {Outgoing} */
function withoutPatch(out) {
  if (out.method !== 'PATCH') return out;
  return Object.assign({}, out, {
    method: 'POST', header: Object.assign({}, out.header, { 'X-HTTP-Method-Override': 'PATCH' }),
  });
}

/** Sends once and never again. @param {Outgoing} out @param {Options} options @returns {Promise<Answer>} */
async function send(out, options) {
  const result = await ways[options.transport || 'request'](withoutPatch(out), options);
  if (!result || !result.statusCode) throw new GatewayError(0, 'network', '云函数没有返回结果');
  return answerOf(result);
}

module.exports = { GatewayError, answerOf, call, refusal, send };
