// Built from utils/
const { GatewayError, answerOf, call, refusal, send } = require('./transport');
const TOKEN = 'access_token';
const USER = 'user_info';
const LIFE = 'access_token_life';
const PROFILE = '/api/v1/user/profile';
let options = { baseUrl: '', functionName: 'api-proxy', uploadPath: '/api/v1/uploads', timeout: 15000 };
let era = 0;
let lastCode = '';
let refused = '';
let leaving = '';
let flights = {};
function configure(changes) {
  options = Object.assign({}, options, changes);
}
function issuer() {
  return options.baseUrl || `${options.env}/${options.service || options.functionName}`;
}
function getLocalToken() {
  const life = wx.getStorageSync(LIFE);
  return life && life.from !== issuer() ? '' : wx.getStorageSync(TOKEN) || '';
}
function getLocalUserInfo() {
  return (getLocalToken() && wx.getStorageSync(USER)) || null;
}
function keep(grant, user) {
  const issuedAt = Date.now();
  wx.setStorageSync(LIFE, { from: issuer(), issuedAt, expiresAt: issuedAt + grant.expires_in * 1000 });
  wx.setStorageSync(TOKEN, grant.access_token);
  if (user) wx.setStorageSync(USER, user);
}
function forget(token) {
  if (getLocalToken() === token) [TOKEN, USER, LIFE].forEach((key) => wx.removeStorageSync(key));
}
function shared(name, start) {
  const began = flights;
  const land = () => { delete began[name]; };
  if (!began[name]) {
    began[name] = start();
    began[name].then(land, land);
  }
  return (began[name]);
}
function sameEra(began) {
  if (began !== era) throw new GatewayError(0, 'logged_out', '已退出登录');
}
function pathOf(url) {
  const path = options.baseUrl && url.startsWith(options.baseUrl) ? url.slice(options.baseUrl.length) : url;
  if (!/^\/(?![/\\])/.test(path)) throw new GatewayError(0, 'config', `不是网关的地址: ${url}`);
  return path;
}
const bearer = (token) => (token ? { Authorization: `Bearer ${token}` } : {});
async function post(path, token, data = {}) {
  const out = { method: 'POST', path, header: bearer(token), data, timeout: options.timeout };
  const answer = await send(out, options);
  if (answer.statusCode >= 400 || !Object(answer.data).data) throw refusal(answer);
  return answer.data.data;
}
async function newCode() {
  const { code } = await call(wx.login, {});
  if (!code || code === lastCode) throw new GatewayError(0, 'wx_code_used', '微信登录凭证已使用，请重试');
  lastCode = code;
  return code;
}
const isTemporary = (avatar) => !/^https:\/\//.test(avatar || '');
async function login({ nickName, avatarUrl }) {
  const began = era;
  const fields = { nickName, avatarUrl: isTemporary(avatarUrl) ? undefined : avatarUrl };
  const path = `/api/v1/auth/${options.cloudLogin ? 'cloud-login' : 'wx-login'}`;
  const grant = await post(path, '', options.cloudLogin ? fields : Object.assign({ code: await newCode() }, fields));
  sameEra(began);
  keep(grant, grant.user);
  return grant;
}
async function wechatLogin(profile = {}) {
  const joined = flights.login;
  const granted = await shared('login', () => login(profile));
  const began = era;
  try {
    const changes = await changesOf(profile, joined);
    if (Object.keys(changes).length) await request({ url: PROFILE, method: 'PUT', data: changes });
  } catch (error) {
    sameEra(began);
    return Object.assign({ avatarError: (error) }, current(granted));
  }
  return current(granted);
}
const current = (granted) => ({ access_token: getLocalToken(), user: getLocalUserInfo() || granted.user });
async function changesOf({ nickName, avatarUrl }, joined) {
  const changes = joined && nickName ? { nickname: nickName } : {};
  if (avatarUrl && isTemporary(avatarUrl)) {
    const answer = await upload({ url: options.uploadPath, filePath: avatarUrl });
    const { url } = Object(Object(answer.data).data);
    if (!url) throw refusal(answer);
    changes.avatar = url;
  } else if (joined && avatarUrl) changes.avatar = avatarUrl;
  return changes;
}
function refreshToken() {
  return shared('refresh', async () => {
    const token = getLocalToken();
    const began = era;
    if (!token || token === refused) throw new GatewayError(401, 'token_missing', '请先登录');
    try {
      const grant = await post('/api/v1/auth/refresh', token);
      if (began === era && getLocalToken() === token) keep(grant);
    } catch (error) {
      if (isCode(error, 401)) {
        refused = token;
        if (error.reason === 'token_revoked' && options.silentLogin === 'unless-revoked') forget(token);
      }
      throw error;
    }
    return getLocalToken();
  });
}
const isCode = (error, code) => error instanceof GatewayError && error.code === code;
async function usableToken() {
  if (!getLocalToken() && flights.login) await flights.login.catch(() => { });
  const token = getLocalToken();
  const life = wx.getStorageSync(LIFE);
  const late = life && Date.now() > life.expiresAt - (life.expiresAt - life.issuedAt) / 10;
  if (late && token) await refreshToken().catch(() => { });
  return getLocalToken() || token;
}
async function renew(failed) {
  if (getLocalToken() !== failed || failed === leaving) return getLocalToken();
  if (failed !== refused) {
    const error = await refreshToken().then(() => null, (e) => e);
    if (!error || getLocalToken() !== failed) return getLocalToken();
    if (!isCode(error, 401)) throw error;
  }
  if (getLocalToken() === failed) await shared('login', () => login({})).catch((e) => hopeless(e, failed));
  return getLocalToken();
}
function hopeless(e, token) {
  if (e.code >= 400 && e.code < 500 && e.code !== 429) forget(token);
  throw e;
}
async function withToken(sendOnce) {
  const token = await usableToken();
  let answer = await sendOnce(token);
  if (answer.statusCode === 401 && token) {
    const next = await renew(token);
    if (next && next !== token) answer = await sendOnce(next);
  }
  if (answer.statusCode >= 400) throw refusal(answer);
  return answer;
}
function withQuery(path, data) {
  const query = Object.keys(data).filter((key) => data[key] !== undefined)
    .map((key) => `${encodeURIComponent(key)}=${encodeURIComponent(data[key])}`).join('&');
  return query ? path + (path.includes('?') ? '&' : '?') + query : path;
}
async function request(wanted) {
  const { header, data, timeout = options.timeout } = wanted;
  const method = (wanted.method || 'GET').toUpperCase();
  const inQuery = method === 'GET' && data && typeof data === 'object';
  const at = pathOf(wanted.url);
  const path = inQuery ? withQuery(at, data) : at;
  const began = era;
  const answer = await withToken((token) => send({
    method, path, data: inQuery ? undefined : data, timeout,
    header: Object.assign({}, header, bearer(token)),
  }, options));
  const user = path === PROFILE && Object(answer.data).data;
  if (user && began === era && getLocalToken()) wx.setStorageSync(USER, user);
  return answer;
}
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (_) {
    return text;
  }
}
function transfer(api, file) {
  return withToken(async (token) => {
    const at = { url: options.baseUrl + pathOf(file.url), header: bearer(token) };
    const result = await call(api, Object.assign({ timeout: 60000 }, file, at));
    return Object.assign(answerOf(result), { data: parsed(result.data), tempFilePath: result.tempFilePath });
  });
}
const upload = (file) => transfer(wx.uploadFile, Object.assign({ name: 'file' }, file));
const download = (file) => transfer(wx.downloadFile, file);
async function connectSocket(socket) {
  const url = (options.baseUrl || '').replace(/^http/, 'ws') + pathOf(socket.url);
  const header = bearer(await usableToken());
  return wx.connectSocket(Object.assign({}, socket, { url, header }));
}
async function bindPhone(detail) {
  const { code, encryptedData, iv } = detail;
  if (!code && !encryptedData) throw new GatewayError(0, 'cancelled', '未授权手机号');
  const answer = await request({ url: '/api/v1/auth/phone', method: 'POST', data: code ? { code } : { encryptedData, iv } });
  return answer.data.data;
}
async function decrypt(source) {
  const stale = await call(wx.checkSession, {}).then(() => '', getLocalToken);
  if (stale) await wechatLogin();
  try {
    return await opened(source);
  } catch (error) {
    if (!isCode(error, 409) || typeof source !== 'function' || !getLocalToken()) throw error;
    await wechatLogin();
    return opened(source);
  }
}
async function opened(source) {
  const { encryptedData, iv, rawData, signature } = await (typeof source === 'function' ? source() : source);
  const data = { encryptedData, iv, rawData, signature };
  return (await request({ url: '/api/v1/auth/decrypt', method: 'POST', data })).data.data;
}
async function checkLoginStatus() {
  if (getLocalToken()) await request({ url: PROFILE }).catch(() => { });
  return Boolean(getLocalToken());
}
async function logout(which = {}) {
  const token = getLocalToken();
  era += 1;
  flights = {};
  leaving = refused = token;
  const path = `/api/v1/auth/logout${which.all ? '?all=true' : ''}`;
  const told = !token || await post(path, token).then(() => true, () => false);
  forget(token);
  return told;
}
module.exports = {
  GatewayError, configure,
  wechatLogin, checkLoginStatus, getLocalToken, getLocalUserInfo, refreshToken, logout,
  request, upload, download, connectSocket, bindPhone, decrypt,
};
