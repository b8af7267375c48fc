// Built from utils/
export class GatewayError extends Error {
  constructor(code, reason, message, requestId = '') {
    super(message);
    this.name = 'GatewayError';
    this.code = code;
    this.status = code;
    this.reason = reason;
    this.requestId = requestId;
    this.body = undefined;
    this.header = {};
    this.quota = undefined;
    this.errMsg = undefined;
    this.errno = undefined;
    this.errCode = undefined;
  }
}
export const fault = (reason, message, told) => Object.assign(new GatewayError(0, reason, message), told);
const TIMED_OUT = /time[ds]?[ _-]?out|timer expired|超时|超時|逾時|-1001\b|code:? ?-(7|118|504003)\b|\b102002\b/i;
const UNSUPPORTED = /not support|不支持/;
let platform;
export function usePlatform(given) {
  platform = given;
  if (given) api();
}
export function api() {
  const all = platform || (typeof wx !== 'undefined' && wx);
  if (Object(all).getStorageSync) return all;
  throw fault('config', '请先 configure({ api: Taro 或 uni })，H5 要逐个写出函数，如 request: Taro.request');
}
function networkError({ errno, errCode, name, message = '', errMsg = message }) {
  let [reason, words] = ['network', '网络不可用，请检查网络后再试'];
  if (errno === 5 || name === 'AbortError' || TIMED_OUT.test(`${errMsg} code:${errCode}`)) [reason, words] = ['timeout', '网络超时，请稍后再试'];
  if (UNSUPPORTED.test(errMsg)) [reason, words] = ['unsupported', '当前环境不支持此操作'];
  if (/:fail abort/.test(errMsg)) [reason, words] = ['aborted', '请求已取消'];
  return fault(reason, words, { errMsg, errno, errCode });
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
export function paymentError({ reason, errMsg = '', errno, errCode = 0 }) {
  const code = /:fail cancel/.test(errMsg) ? -2 : errCode;
  let [what, words] = PAYMENT_FAULTS.find(([, , ...codes]) => codes.includes(code)) || ['pay_failed', '支付失败，请稍后再试'];
  if (reason === 'unsupported') [what, words] = ['unsupported', '当前微信版本不支持支付，请更新微信'];
  return fault(what, words, { errMsg, errno, errCode });
}
export function refusal(answer) {
  const body = parsed(answer.data);
  const { reason, message, request_id: id } = Object(body);
  const text = Array.isArray(message) ? message.join('；') : message;
  const words = isText(text) ? text : '服务异常，请稍后再试';
  const error = new GatewayError(answer.statusCode, isText(reason) ? reason : 'http', words, id || answer.header['x-request-id']);
  return Object.assign(error, { body, header: answer.header, quota: quotaOf(answer.header) });
}
function quotaOf(header) {
  const [, , limit, reset] = /("[^"]+");q=(\d+).*\1;r=0;t=(\d+)/.exec(`${header['ratelimit-policy']} ${header.ratelimit}`) || [];
  return limit && { limit: Number(limit), reset: Number(reset) };
}
const isText = (value) => typeof value === 'string' && value !== '';
export const isBytes = (data) => Object.prototype.toString.call(data) === '[object ArrayBuffer]';
export function parsed(data) {
  try {
    const text = isBytes(data) && data.byteLength <= 65536 ? decoder()(data) : data;
    return typeof text === 'string' ? JSON.parse(text) : text;
  } catch (_) {
    return data;
  }
}
export function textIn(path) {
  try {
    return api().getFileSystemManager().readFileSync(path, 'utf8');
  } catch (_) { }
}
export function decoder() {
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
export function without(from, names) {
  const copy = { ...from };
  for (const name of names) delete copy[name];
  return copy;
}
export function withField(given, name, value) {
  const header = without(given, Object.keys(Object(given)).filter((key) => key.toLowerCase() === name.toLowerCase()));
  return value ? { ...header, [name]: value } : header;
}
export function lowerCase(header) {
  const lower = {};
  for (const [name, value] of Object.entries(header || {})) lower[name.toLowerCase()] = String(value);
  return lower;
}
export function call(name, options, onTask, of = api()) {
  return new Promise((resolve, reject) => {
    const fail = (e) => reject(networkError(Object(e)));
    if (!Object(of)[name]) return fail({ errMsg: `${name}:fail not supported` });
    const success = (result) => (UNSUPPORTED.test(Object(result).errMsg) ? fail(result) : resolve(result));
    const task = of[name]({ ...options, success, fail });
    if (task && task.catch) task.catch(fail);
    if (onTask) onTask(task);
  });
}
export function answerOf(result) {
  return { ...without(result, ['headers', 'errMsg', 'isBase64Encoded']), header: lowerCase(result.header || result.headers) };
}
const transports = {
  request: (out, options, onTask) => call('request', { ...without(out, ['path']), url: options.baseUrl + out.path }, onTask),
  container: (out, options) => inCloud('callContainer', options, { ...out, header: withField(out.header, 'X-WX-SERVICE', options.service) }),
  function: async ({ method, path, header: headers, data, dataType, responseType }, options) => {
    const body = isBytes(data) ? { body: api().arrayBufferToBase64(data), isBase64Encoded: true } : { data };
    const event = { method, path, headers, dataType, responseType, ...body };
    const { result } = await inCloud('callFunction', options, { name: options.functionName, data: event });
    return Object(result).isBase64Encoded ? { ...result, data: api().base64ToArrayBuffer(result.data) } : result;
  },
};
const inCloud = (name, { env }, given) => call(name, { ...given, config: { env } }, undefined, api().cloud);
export async function send(out, options, onTask) {
  const patch = out.method === 'PATCH' && { method: 'POST', header: withField(out.header, 'X-HTTP-Method-Override', 'PATCH') };
  const result = await transports[options.transport || 'request']({ ...out, ...patch }, options, onTask);
  if (Object(result).statusCode === undefined) throw fault('network', '云函数没有返回结果');
  return answerOf(result);
}
