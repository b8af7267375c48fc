// Built from utils/
import { GatewayError, answerOf, api, call, decoder, fault, isBytes, lowerCase, parsed, paymentError, refusal, send, textIn, usePlatform, withField, without } from './transport.mjs';
const TOKEN = 'access_token';
const USER = 'user_info';
const LIFE = 'access_token_life';
const PROFILE = '/api/v1/user/profile';
let options = { baseUrl: '', functionName: 'api-proxy', uploadPath: '/api/v1/uploads', timeout: 15000 };
let era = 0;
let lastCode = '';
let refused = '';
let flights = {};
const unsaved = {};
export function configure(changes) {
  options = { ...options, ...changes };
  options.baseUrl = withoutSlash(options.baseUrl || '');
  usePlatform(options.api);
}
const withoutSlash = (address) => address.replace(/\/+$/, '');
function read(key) {
  return key in unsaved ? unsaved[key] : api().getStorageSync(key);
}
function write(key, value) {
  unsaved[key] = value;
  try {
    if (value === '') api().removeStorageSync(key);
    else
      api().setStorageSync(key, value);
    delete unsaved[key];
  } catch (_) { }
}
function issuer() {
  return options.baseUrl || `${options.env}/${options.service || options.functionName}`;
}
export function getLocalToken() {
  const life = read(LIFE);
  return life && withoutSlash(life.from) !== issuer() ? '' : read(TOKEN) || '';
}
export function getLocalUserInfo() {
  return (getLocalToken() && read(USER)) || null;
}
function keep(grant, user) {
  const issuedAt = Date.now();
  write(TOKEN, '');
  write(LIFE, { from: issuer(), issuedAt, expiresAt: issuedAt + grant.expires_in * 1000 });
  write(TOKEN, grant.access_token);
  if (user) write(USER, user);
}
function forget(token) {
  if (getLocalToken() === token) [TOKEN, USER, LIFE].forEach((key) => write(key, ''));
}
function shared(name, start) {
  const all = flights;
  const land = () => { delete all[name]; };
  const running = all[name] || start();
  if (!all[name]) running.then(land, land);
  all[name] = running;
  return running;
}
function sameEra(began) {
  if (began !== era) throw fault('logged_out', '已退出登录');
}
function pathOf(url) {
  const path = options.baseUrl && url.startsWith(options.baseUrl) ? url.slice(options.baseUrl.length) : url;
  if (!/^\/(?![/\\])/.test(path)) throw fault('config', `不是网关的地址: ${url}`);
  return path;
}
function addressOf(url) {
  if (!options.baseUrl) throw fault('config', '没有配置 baseUrl');
  return options.baseUrl + pathOf(url);
}
const authorized = (header, token) => withField(header, 'Authorization', token && `Bearer ${token}`);
async function post(path, token, data = {}) {
  const answer = await send({ method: 'POST', path, header: withField(authorized({}, token), 'X-App-Id', options.appId), data, timeout: options.timeout }, options);
  if (answer.statusCode >= 400 || !Object(answer.data).data) throw refusal(answer);
  return answer.data.data;
}
async function newCode() {
  const { code } = await call('login', {});
  if (!code || (code === lastCode && code !== 'the code is a mock one')) throw fault('wx_code_used', '微信登录凭证已使用，请重试');
  lastCode = code;
  return code;
}
const isRemote = (avatar = '') => /^https:\/\//.test(avatar);
async function login({ nickName, avatarUrl, code }) {
  const began = era;
  const fields = { nickName, avatarUrl: isRemote(avatarUrl) ? avatarUrl : undefined };
  const path = `/api/v1/auth/${options.cloudLogin ? 'cloud-login' : 'wx-login'}`;
  const grant = await post(path, '', options.cloudLogin ? fields : { code: code || await newCode(), ...fields });
  sameEra(began);
  keep(grant, grant.user);
  return grant;
}
export async function wechatLogin(profile = {}) {
  const joined = flights.login;
  const granted = await shared('login', () => login(profile));
  const began = era;
  const avatarError = await saveRest(profile, joined).catch((e) => {
    sameEra(began);
    return { avatarError: e };
  });
  return { ...avatarError, access_token: getLocalToken(), user: getLocalUserInfo() || granted.user };
}
async function saveRest({ nickName, avatarUrl }, joined) {
  const changes = joined && nickName ? { nickname: nickName } : {};
  if (avatarUrl && !isRemote(avatarUrl)) {
    const answer = await upload({ url: options.uploadPath, filePath: avatarUrl });
    changes.avatar = Object(Object(answer.data).data).url;
    if (!changes.avatar) throw refusal(answer);
  } else if (joined && avatarUrl) changes.avatar = avatarUrl;
  if (Object.keys(changes).length) await request({ url: PROFILE, method: 'PUT', data: changes });
}
export function refreshToken() {
  return shared('refresh', async () => {
    const token = getLocalToken();
    const began = era;
    if (!token || token === refused) throw new GatewayError(401, 'token_missing', '请先登录');
    const grant = await post('/api/v1/auth/refresh', token).catch((e) => {
      if (e.code === 401) refused = token;
      if (e.reason === 'token_revoked' && options.silentLogin === 'unless-revoked') forget(token);
      throw e;
    });
    if (began === era && getLocalToken() === token) keep(grant);
    return getLocalToken();
  });
}
async function usableToken() {
  if (!getLocalToken() && flights.login) await flights.login.catch(() => { });
  const token = getLocalToken();
  const life = read(LIFE);
  const late = life && Date.now() > life.expiresAt - (life.expiresAt - life.issuedAt) / 10;
  if (late && token) await refreshToken().catch(() => { });
  return getLocalToken() || token;
}
async function renew(failed) {
  if (getLocalToken() !== failed) return getLocalToken();
  if (failed !== refused)
    await refreshToken().catch((e) => { if (e.code !== 401 && getLocalToken() === failed)
      throw e; });
  if (Object(read(LIFE)).ending) forget(failed);
  if (getLocalToken() === failed)
    await shared('login', () => login({})).catch((e) => {
      if (e.reason === 'unsupported' || (e.code >= 400 && e.code < 500 && e.code !== 429)) forget(failed);
      if (e.reason !== 'unsupported') throw e;
    });
  return getLocalToken();
}
async function withToken(sendOnce) {
  const token = await usableToken();
  let answer = await sendOnce(token);
  const next = answer.statusCode === 401 && token && await renew(token);
  if (next && next !== token) answer = await sendOnce(next);
  if (answer.statusCode >= 400) throw refusal(answer);
  return answer;
}
const inText = (value) => encodeURIComponent(String(value) === '[object Object]' ? JSON.stringify(value) : value);
function withQuery(path, data) {
  const query = Object.keys(data).filter((key) => data[key] !== undefined)
    .map((key) => `${encodeURIComponent(key)}=${inText(data[key])}`).join('&');
  return query ? path + (path.includes('?') ? '&' : '?') + query : path;
}
function announced(outcome, { success, fail, complete }) {
  const none = () => { };
  if (success || fail || complete) {
    outcome.then(success, fail || none);
    outcome.then(complete, complete || none);
  }
  return outcome;
}
const OURS = ['url', 'success', 'fail', 'complete', 'onTask', 'onChunk'];
export function request(wanted) {
  return announced(requested(wanted), wanted);
}
async function requested(wanted, by = options) {
  const { data, header } = wanted;
  const method = (wanted.method || 'GET').toUpperCase();
  const [query, body] = method === 'GET' && Object(data) === data && !isBytes(data) ? [data] : [{}, data];
  const path = withQuery(pathOf(wanted.url), query);
  const began = era;
  const out = { ...without(wanted, OURS), method, path, data: body, timeout: wanted.timeout || by.timeout };
  const answer = await withToken((token) => send({ ...out, header: authorized(header, token) }, by, wanted.onTask));
  const user = path === PROFILE && Object(answer.data).data;
  if (user && began === era && getLocalToken()) write(USER, user);
  return answer;
}
export function stream(wanted) {
  const { onChunk, responseType, url } = (wanted);
  const pieceOf = responseType === 'arraybuffer' ? (bytes) => bytes : decoder();
  let task;
  let held = [];
  let status = 0;
  let over = false;
  const take = (bytes) => {
    if (!over) onChunk(pieceOf(bytes));
  };
  const onTask = (started) => {
    task = started;
    if (!Object(task).onChunkReceived) throw fault('unsupported', '当前环境不支持流式输出');
    if (over) task.abort();
    held = [];
    let passes = false;
    task.onHeadersReceived((head) => {
      status = head.statusCode;
      passes = status ? status < 400 : !/^application\/json/.test(lowerCase(head.header)['content-type']);
    });
    task.onChunkReceived(({ data }) => (passes && !held.length ? take(data) : held.push(data)));
  };
  const refused = (statusCode, header, data) => refusal({ statusCode, header, data: held.map(decoder()).join('') || data });
  const received = async () => {
    addressOf(url);
    const given = ({ timeout: 300000, ...wanted, enableChunked: true, responseType: 'arraybuffer', onTask });
    const answer = await requested(given, { ...options, transport: 'request' })
      .catch((e) => { throw e.reason === 'http' ? refused(e.code, e.header, e.body) : e; });
    if (status >= 400) throw refused(status, answer.header, answer.data);
    held.forEach(take);
    return answer;
  };
  return Object.assign(received(), {
    abort() {
      over = true;
      if (task) task.abort();
    },
  });
}
async function dataOf(wanted) {
  return (await request(wanted)).data.data;
}
function transfer(name, file) {
  const sent = withToken(async (token) => {
    const given = { timeout: 60000, ...without(file, OURS), url: addressOf(file.url), header: authorized(file.header, token) };
    const result = await call(name, given, file.onTask);
    return { ...answerOf(result), data: parsed(result.statusCode >= 400 && result.tempFilePath ? textIn(result.tempFilePath) : result.data) };
  });
  return announced(sent, file);
}
export const upload = (file) => transfer('uploadFile', { name: 'file', ...file });
export const download = (file) => transfer('downloadFile', file);
export async function connectSocket(socket) {
  const url = addressOf(socket.url).replace(/^http/, 'ws');
  return api().connectSocket({ complete() { }, ...socket, url, header: authorized(socket.header, await usableToken()) });
}
export async function bindPhone(detail) {
  const { code, encryptedData, iv } = detail;
  if (!code && !encryptedData) throw fault('cancelled', '未授权手机号');
  return dataOf({ url: '/api/v1/auth/phone', method: 'POST', data: code ? { code } : { encryptedData, iv } });
}
export async function decrypt(source) {
  const stale = await call('checkSession', {}).then(() => '', getLocalToken);
  if (stale) await wechatLogin();
  return typeof source === 'function' ? afterLogin(async () => opened(await source())) : opened(source);
}
function opened({ encryptedData, iv, rawData, signature }) {
  return dataOf({ url: '/api/v1/auth/decrypt', method: 'POST', data: { encryptedData, iv, rawData, signature } });
}
async function afterLogin(work) {
  const began = era;
  return work().catch(async (e) => {
    const helps = ['session_key_stale', 'login_too_old'].includes(e.reason) || [-15005, 702002].includes(e.errCode);
    if (!helps || began !== era || !getLocalToken()) throw e;
    await wechatLogin();
    return work();
  });
}
export function payVirtual(order, signing) {
  return afterLogin(async () => {
    const signed = await dataOf({ ...signing, url: '/api/v1/pay/virtual/sign', method: 'POST', data: { order } });
    const name = signed.mode === 'retail_pay_goods' ? 'requestCommonPayment' : 'requestVirtualPayment';
    await call(name, signed).catch((e) => { throw paymentError(e); });
  });
}
export async function checkLoginStatus() {
  if (getLocalToken()) await request({ url: PROFILE }).catch(() => { });
  return Boolean(getLocalToken());
}
export async function logout(which = {}) {
  const token = end();
  era += 1;
  flights = {};
  refused = token;
  const told = !token || await post(`/api/v1/auth/logout${which.all ? '?all=true' : ''}`, token).then(() => true, () => false);
  forget(token);
  return told;
}
function end() {
  const token = getLocalToken();
  if (token) write(LIFE, { from: issuer(), ...read(LIFE), ending: true });
  return token;
}
export function deleteAccount() {
  return shared('delete', async () => {
    if (getLocalToken())
      await wechatLogin().catch((e) => { if (e.reason !== 'unsupported')
        throw e; });
    const token = end();
    const data = await dataOf({ url: '/api/v1/user', method: 'DELETE' });
    forget(token);
    return data;
  });
}
export function exportAccount() {
  return afterLogin(() => dataOf({ url: '/api/v1/user/export' }));
}
export { GatewayError };
export default {
  GatewayError, configure,
  wechatLogin, checkLoginStatus, getLocalToken, getLocalUserInfo, refreshToken, logout,
  request, stream, upload, download, connectSocket, bindPhone, decrypt, payVirtual, exportAccount, deleteAccount,
};
