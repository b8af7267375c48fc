/**
 * How a request reaches the gateway: wx.request, wx.cloud.callContainer or the cloud function api-proxy, of wx or of the
 * framework that stands for it. Whatever the way, an answer is {statusCode, header, data} with lower-case header names,
 * beside what else WeChat tells of it, and a failure is a GatewayError. What the caller gives and this library does not own goes through as it is, bytes included.
 */

/**
 * @template [T=any]
 * @typedef {{statusCode: number, header: Record<string, string>, data: T, tempFilePath?: string, filePath?: string, cookies?: string[]}} Answer
 */
/** @typedef {{method: string, path: string, header: Record<string, string>, data?: any, timeout: number, [option: string]: any}} Outgoing */
/** @typedef {{request: any, getStorageSync: any, setStorageSync: any, removeStorageSync: any, [name: string]: any}} Platform functions named as those of wx */
/**
 * @typedef {object} Options
 * @property {Platform} [api] Taro or uni, where that is what a project calls; otherwise wx
 * @property {string} [baseUrl] https://… of the gateway
 * @property {string} [appId] the mini-program, where the gateway serves several
 * @property {'request' | 'container' | 'function'} [transport] the way of request(); files and sockets need baseUrl
 * @property {string} [env] the cloud environment, for container and function
 * @property {string} [service] the Cloud Run service, for container
 * @property {string} [functionName]
 * @property {boolean} [cloudLogin] log in by the openid that the cloud vouches for, without wx.login
 * @property {'always' | 'unless-revoked'} [silentLogin] whether a session that was ended elsewhere comes back by itself
 * @property {string} [uploadPath] where wechatLogin sends an avatar
 * @property {number} [timeout] milliseconds
 */

/** @typedef {{limit: number, reset: number}} Quota of a limit that is used up: its requests, and the seconds until it is whole again */

/** What went wrong. code is the HTTP status, 0 when there was no answer; decide by reason. */
class GatewayError extends Error {
  /** @param {number} code @param {string} reason @param {string} message @param {string} [requestId] */
  constructor(code, reason, message, requestId = '') {
    super(message);
    this.name = 'GatewayError';
    this.code = code;
    this.status = code;
    this.reason = reason;
    this.requestId = requestId;
    /** @type {any} what the service answered, parsed if it is JSON: a form finds its field errors here */
    this.body = undefined;
    /** @type {Record<string, string>} of that answer, names in lower case */
    this.header = {};
    /** @type {Quota | undefined} of the limit that refused it */
    this.quota = undefined;
    /** @type {string | undefined} what WeChat said of a call that got no answer, and its number */
    this.errMsg = undefined;
    /** @type {number | undefined} */
    this.errno = undefined;
    /** @type {number | undefined} */
    this.errCode = undefined;
  }
}

/** @param {string} reason @param {string} message @param {object} [told] by WeChat @returns {Failure} of what got no answer */
const fault = (reason, message, told) => Object.assign(new GatewayError(0, reason, message), told);

/** Android's words (cronet), iOS' in the phone's language, and the numbers of callContainer and callFunction. */
const TIMED_OUT = /time[ds]?[ _-]?out|timer expired|超时|超時|逾時|-1001\b|code:? ?-(7|118|504003)\b|\b102002\b/i;

/** Of a function that a browser does not have, in the words of Taro, whose production build calls it a success, and of uni. */
const UNSUPPORTED = /not support|不支持/;

/** @typedef {InstanceType<typeof GatewayError>} Failure */

/** @type {Platform | undefined} */
let platform;

/** @param {Platform} [given] what stands for wx from now on */
function usePlatform(given) {
  platform = given;
  if (given) api();
}

/** @returns {any} wx, or what stands for it */
function api() {
  const all = platform || (typeof wx !== 'undefined' && wx);
  if (Object(all).getStorageSync) return all;
  throw fault('config', '请先 configure({ api: Taro 或 uni })，H5 要逐个写出函数，如 request: Taro.request');
}

/**
 * @param {{errMsg?: string, errno?: number, errCode?: number, message?: string, name?: string}} failure of a wx call that
 * never got an answer; fetch() is aborted by Taro's timeout
 */
function networkError({ errno, errCode, name, message = '', errMsg = message }) {
  let [reason, words] = ['network', '网络不可用，请检查网络后再试'];
  if (errno === 5 || name === 'AbortError' || TIMED_OUT.test(`${errMsg} code:${errCode}`)) [reason, words] = ['timeout', '网络超时，请稍后再试'];
  if (UNSUPPORTED.test(errMsg)) [reason, words] = ['unsupported', '当前环境不支持此操作'];
  if (/:fail abort/.test(errMsg)) [reason, words] = ['aborted', '请求已取消'];
  return fault(reason, words, { errMsg, errno, errCode });
}

/**
 * What wx.requestVirtualPayment and wx.requestCommonPayment fail with, by errCode. Any other is pay_failed.
 * @type {[string, string, ...number[]][]}
 */
const PAYMENT_FAULTS = [
  ['cancelled', '已取消支付', -2],
  ['session_key_stale', '登录状态已更新，请重新登录后再试', -15007],
  ['pay_blocked', '支付被微信风控拦截', -4],
  ['pay_unknown', '支付结果未知，请稍后查看订单', -5],
  ['pay_repeated', '订单号已使用，请查看订单状态', -15002],
  ['pay_new_order', '下单失败，请重新下单', -15003, -15012],
  ['pay_order_invalid', '订单参数有误', -15001, 1001, -15004, -15011, -15013, -15016],
  ['pay_signature', '支付签名有误', -15005, -15006, 702002, 702003],
  ['pay_merchant', '商户暂时无法收款', -15008, -15017, -15019],
  ['pay_unpublished', '商品尚未发布或正在审核', -15009, -15010, -15014, -15018],
  ['pay_too_fast', '操作太频繁，请稍后再试', -15020, -15021],
];

/** @param {Failure} failure of a wx call that should have paid */
function paymentError({ reason, errMsg = '', errno, errCode = 0 }) {
  const code = /:fail cancel/.test(errMsg) ? -2 : errCode;
  let [what, words] = PAYMENT_FAULTS.find(([, , ...codes]) => codes.includes(code)) || ['pay_failed', '支付失败，请稍后再试'];
  if (reason === 'unsupported') [what, words] = ['unsupported', '当前微信版本不支持支付，请更新微信'];
  return fault(what, words, { errMsg, errno, errCode });
}

/** @param {Answer} answer with a status of 400 or more */
function refusal(answer) {
  const body = parsed(answer.data);
  const { reason, message, request_id: id } = Object(body);
  const text = Array.isArray(message) ? message.join('；') : message; // a list is what NestJS says of a form
  const words = isText(text) ? text : '服务异常，请稍后再试';
  const error = new GatewayError(answer.statusCode, isText(reason) ? reason : 'http', words, id || answer.header['x-request-id']);
  return Object.assign(error, { body, header: answer.header, quota: quotaOf(answer.header) });
}

/** @param {Record<string, string>} header with "name";q=20;w=86400 in RateLimit-Policy and "name";r=0;t=3600 in RateLimit @returns {any} */
function quotaOf(header) {
  const [, , limit, reset] = /("[^"]+");q=(\d+).*\1;r=0;t=(\d+)/.exec(`${header['ratelimit-policy']} ${header.ratelimit}`) || [];
  return limit && { limit: Number(limit), reset: Number(reset) };
}

/** @param {any} value @returns {value is string} */
const isText = (value) => typeof value === 'string' && value !== '';

/** @param {any} data @returns {data is ArrayBuffer} */
const isBytes = (data) => Object.prototype.toString.call(data) === '[object ArrayBuffer]';

/**
 * JSON, if that is what it is, also as text or as bytes, up to 64 KiB of them.
 * @param {any} data @returns {any}
 */
function parsed(data) {
  try {
    const text = isBytes(data) && data.byteLength <= 65536 ? decoder()(data) : data;
    return typeof text === 'string' ? JSON.parse(text) : text;
  } catch (_) {
    return data;
  }
}

/** @param {string} path of a refusal, which wx.downloadFile puts into a file @returns {string | undefined} */
function textIn(path) {
  try {
    return api().getFileSystemManager().readFileSync(path, 'utf8');
  } catch (_) { /* the status has to do */ }
}

/**
 * What turns bytes in UTF-8 into text, a piece after the other: a character may be spread over two. A phone has no TextDecoder.
 * @returns {(bytes: ArrayBuffer) => string}
 */
function decoder() {
  let rest = '';
  return (bytes) => {
    const all = rest + Array.from(new Uint8Array(bytes), (byte) => `%${(byte + 256).toString(16).slice(1)}`).join('');
    rest = (/%([cd].|e.(%[89ab].)?|f[0-4](%[89ab].){0,2})$/.exec(all) || [''])[0];
    try {
      return decodeURIComponent(all.slice(0, all.length - rest.length));
    } catch (_) {
      return '\ufffd';
    }
  };
}

/** @param {object | undefined} from @param {string[]} names @returns {any} a copy without these */
function without(from, names) {
  /** @type {Record<string, any>} */
  const copy = { ...from };
  for (const name of names) delete copy[name];
  return copy;
}

/**
 * A header with one field of ours, which is alone however the caller writes its name.
 * @param {Record<string, any> | undefined} given @param {string} name @param {string} [value] without one nobody sends the field
 */
function withField(given, name, value) {
  const header = without(given, Object.keys(Object(given)).filter((key) => key.toLowerCase() === name.toLowerCase()));
  return value ? { ...header, [name]: value } : header;
}

/** @param {Record<string, any>} [header] */
function lowerCase(header) {
  /** @type {Record<string, string>} */
  const lower = {};
  for (const [name, value] of Object.entries(header || {})) lower[name.toLowerCase()] = String(value);
  return lower;
}

/**
 * @param {string} name of a wx function that takes success and fail
 * @param {object} options
 * @param {(task: any) => void} [onTask] is given what can be aborted and listened to
 * @param {any} [of] where the function is
 * @returns {Promise<any>}
 */
function call(name, options, onTask, of = api()) {
  return new Promise((resolve, reject) => {
    const fail = (/** @type {any} */ e) => reject(networkError(Object(e)));
    if (!Object(of)[name]) return fail({ errMsg: `${name}:fail not supported` });
    const success = (/** @type {any} */ result) => (UNSUPPORTED.test(Object(result).errMsg) ? fail(result) : resolve(result));
    const task = of[name]({ ...options, success, fail });
    if (task && task.catch) task.catch(fail); // a task of Taro is a promise too
    if (onTask) onTask(task);
  });
}

/** @param {any} result @returns {Answer} */
function answerOf(result) {
  return { ...without(result, ['headers', 'errMsg', 'isBase64Encoded']), header: lowerCase(result.header || result.headers) };
}

/** @type {Record<string, (out: Outgoing, options: Options, onTask?: (task: any) => void) => Promise<any>>} */
const transports = {
  request: (out, options, onTask) => call('request', { ...without(out, ['path']), url: options.baseUrl + out.path }, onTask),
  container: (out, options) => inCloud('callContainer', options, { ...out, header: withField(out.header, 'X-WX-SERVICE', options.service) }),
  function: async ({ method, path, header: headers, data, dataType, responseType }, options) => {
    const body = isBytes(data) ? { body: api().arrayBufferToBase64(data), isBase64Encoded: true } : { data }; // an event is JSON
    const event = { method, path, headers, dataType, responseType, ...body };
    const { result } = await inCloud('callFunction', options, { name: options.functionName, data: event });
    return Object(result).isBase64Encoded ? { ...result, data: api().base64ToArrayBuffer(result.data) } : result;
  },
};

/** @param {string} name @param {Options} options @param {object} given @returns {Promise<any>} */
const inCloud = (name, { env }, given) => call(name, { ...given, config: { env } }, undefined, api().cloud);

/**
 * Sends once and never again. wx.request has no PATCH, so it travels as a POST that says so.
 * @param {Outgoing} out @param {Options} options @param {(task: any) => void} [onTask] @returns {Promise<Answer>}
 */
async function send(out, options, onTask) {
  const patch = out.method === 'PATCH' && { method: 'POST', header: withField(out.header, 'X-HTTP-Method-Override', 'PATCH') };
  const result = await transports[options.transport || 'request']({ ...out, ...patch }, options, onTask);
  if (Object(result).statusCode === undefined) throw fault('network', '云函数没有返回结果');
  return answerOf(result);
}

module.exports = { GatewayError, answerOf, api, call, decoder, fault, isBytes, lowerCase, parsed, paymentError, refusal, send, textIn, usePlatform, withField, without };
