// Built from utils/
class GatewayError extends Error {
  constructor(code, reason, message, requestId) {
    super(message);
    this.name = 'GatewayError';
    this.code = code;
    this.reason = reason;
    this.requestId = requestId || '';
  }
}
function networkError(failure) {
  const { errMsg = '' } = failure;
  const [reason, message] = /time ?out/i.test(errMsg) ? ['timeout', '网络超时，请稍后再试'] : ['network', '网络不可用，请检查网络后再试'];
  return Object.assign(new GatewayError(0, reason, message), { errMsg });
}
function refusal(answer) {
  const body = Object(answer.data);
  const requestId = body.request_id || answer.header['x-request-id'];
  return new GatewayError(answer.statusCode, body.reason || 'http', body.message || '服务异常，请稍后再试', requestId);
}
function lowerCase(header) {
  const lower = {};
  for (const [name, value] of Object.entries(header || {})) lower[name.toLowerCase()] = String(value);
  return lower;
}
function call(api, options) {
  return new Promise((resolve, reject) => {
    api(Object.assign({}, options, { success: resolve, fail: (e) => reject(networkError(e)) }));
  });
}
function answerOf(result) {
  return { statusCode: result.statusCode, header: lowerCase(result.header || result.headers), data: result.data };
}
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
function withoutPatch(out) {
  if (out.method !== 'PATCH') return out;
  return Object.assign({}, out, {
    method: 'POST', header: Object.assign({}, out.header, { 'X-HTTP-Method-Override': 'PATCH' }),
  });
}
async function send(out, options) {
  const result = await ways[options.transport || 'request'](withoutPatch(out), options);
  if (!result || !result.statusCode) throw new GatewayError(0, 'network', '云函数没有返回结果');
  return answerOf(result);
}
module.exports = { GatewayError, answerOf, call, refusal, send };
