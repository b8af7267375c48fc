// Built from utils/
class GatewayError extends Error {
  constructor(code, reason, message, requestId) {
    super(message);
    this.name = 'GatewayError';
    this.code = code;
    this.status = code;
    this.reason = reason;
    this.requestId = requestId || '';
    this.body = undefined;
    this.header = {};
    this.errMsg = undefined;
    this.errno = undefined;
    this.errCode = undefined;
  }
}
const LARGEST_REFUSAL = 65536;
const TIMED_OUT = /time[ds]?[ _-]?out|timer expired|超时|超時|逾時|-1001\b|code:? ?-(7|118|504003)\b|\b102002\b/i;
const UNSUPPORTED = /not support|不支持/;
let platform;
function usePlatform(given) {
  const whole = !given || typeof given.getStorageSync === 'function';
  if (!whole) throw new GatewayError(0, 'config', 'api 不完整：H5 构建里要逐个写出函数，如 request: Taro.request');
  platform = given;
}
function api() {
  if (platform || typeof wx !== 'undefined') return platform || wx;
  throw new GatewayError(0, 'config', '没有 wx：请先 configure({ api: Taro 或 uni })');
}
function networkError(failure) {
  const { errno, errCode } = failure;
  const errMsg = failure.errMsg || failure.message || '';
  let error = new GatewayError(0, 'network', '网络不可用，请检查网络后再试');
  if (errno === 5 || failure.name === 'AbortError' || TIMED_OUT.test(`${errMsg} code:${errCode}`)) error = new GatewayError(0, 'timeout', '网络超时，请稍后再试');
  if (UNSUPPORTED.test(errMsg)) error = new GatewayError(0, 'unsupported', '当前环境不支持此操作');
  if (/:fail abort/.test(errMsg)) error = new GatewayError(0, 'aborted', '请求已取消');
  return Object.assign(error, { errMsg, errno, errCode });
}
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
function paymentError({ reason, errMsg = '', errno, errCode = 0 }) {
  const code = /:fail cancel/.test(errMsg) ? -2 : errCode;
  let [fault, words] = PAYMENT_FAULTS.find(([, , ...codes]) => codes.includes(code)) || ['pay_failed', '支付失败，请稍后再试'];
  if (reason === 'unsupported') [fault, words] = ['unsupported', '当前微信版本不支持支付，请更新微信'];
  return Object.assign(new GatewayError(0, fault, words), { errMsg, errno, errCode });
}
function refusal(answer) {
  const body = parsed(answer.data);
  const { reason, message, request_id: id } = Object(body);
  const text = Array.isArray(message) ? message.join('；') : message;
  const words = isText(text) ? text : '服务异常，请稍后再试';
  const error = new GatewayError(answer.statusCode, isText(reason) ? reason : 'http', words, id || answer.header['x-request-id']);
  return Object.assign(error, { body, header: answer.header });
}
const isText = (value) => typeof value === 'string' && value !== '';
const isBytes = (data) => Object.prototype.toString.call(data) === '[object ArrayBuffer]';
function parsed(data) {
  try {
    const text = isBytes(data) && data.byteLength <= LARGEST_REFUSAL ? textOf(data) : data;
    return typeof text === 'string' ? JSON.parse(text) : text;
  } catch (_) {
    return data;
  }
}
function textOf(bytes) {
  return decodeURIComponent(Array.from(new Uint8Array(bytes), (byte) => `%${(byte + 256).toString(16).slice(1)}`).join(''));
}
function without(from, names) {
  const copy = Object.assign({}, from);
  for (const name of names) delete copy[name];
  return copy;
}
function headerOf(given, own) {
  const owned = Object.keys(own).map((name) => name.toLowerCase());
  const theirs = without(given || {}, Object.keys(given || {}).filter((name) => owned.includes(name.toLowerCase())));
  return Object.assign(theirs, without(own, Object.keys(own).filter((name) => own[name] === undefined)));
}
function lowerCase(header) {
  const lower = {};
  for (const [name, value] of Object.entries(header || {})) lower[name.toLowerCase()] = String(value);
  return lower;
}
function call(name, options, onTask, of = api()) {
  return new Promise((resolve, reject) => {
    const fail = (e) => reject(networkError(Object(e)));
    if (typeof Object(of)[name] !== 'function') return fail({ errMsg: `${name}:fail not supported` });
    const success = (result) => (UNSUPPORTED.test(Object(result).errMsg) ? fail(result) : resolve(result));
    const task = of[name](Object.assign({}, options, { success, fail }));
    if (task && task.catch) task.catch(fail);
    if (onTask) onTask(task);
  });
}
function answerOf(result) {
  return Object.assign(without(result, ['headers', 'errMsg']), { header: lowerCase(result.header || result.headers) });
}
const transports = {
  request: (out, options, onTask) => call('request', Object.assign(without(out, ['path']), { url: options.baseUrl + out.path }), onTask),
  container: (out, options) => call('callContainer', Object.assign({}, out, {
    config: { env: options.env }, header: headerOf(out.header, { 'X-WX-SERVICE': options.service }),
  }), undefined, api().cloud),
  function: async (out, options) => {
    const config = { env: options.env };
    const { result } = await call('callFunction', { name: options.functionName, config, data: eventOf(out) }, undefined, api().cloud);
    return result && result.isBase64Encoded ? Object.assign(without(result, ['isBase64Encoded']), { data: api().base64ToArrayBuffer(result.data) }) : result;
  },
};
function eventOf({ method, path, header: headers, data, dataType, responseType }) {
  const event = { method, path, headers, dataType, responseType };
  return Object.assign(event, isBytes(data) ? { body: api().arrayBufferToBase64(data), isBase64Encoded: true } : { data });
}
function withoutPatch(out) {
  if (out.method !== 'PATCH') return out;
  return Object.assign({}, out, { method: 'POST', header: headerOf(out.header, { 'X-HTTP-Method-Override': 'PATCH' }) });
}
async function send(out, options, onTask) {
  const result = await transports[options.transport || 'request'](withoutPatch(out), options, onTask);
  if (!result || !result.statusCode) throw new GatewayError(0, 'network', '云函数没有返回结果');
  return answerOf(result);
}
export { GatewayError, LARGEST_REFUSAL, answerOf, api, call, headerOf, isBytes, parsed, paymentError, refusal, send, usePlatform, without };
