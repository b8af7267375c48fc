// Built from utils/
const { GatewayError, LARGEST_REFUSAL, answerOf, api, call, headerOf, isBytes, parsed, paymentError, refusal, send, usePlatform, without } = require('./transport');
const TOKEN = 'access_token';
const USER = 'user_info';
const LIFE = 'access_token_life';
const PROFILE = '/api/v1/user/profile';
const TOURIST_CODE = 'the code is a mock one';
let options = { baseUrl: '', functionName: 'api-proxy', uploadPath: '/api/v1/uploads', timeout: 15000 };
let era = 0;
let lastCode = '';
let refused = '';
let leaving = '';
let flights = {};
const unsaved = {};
function configure(changes) {
  options = Object.assign({}, options, changes);
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
function getLocalToken() {
  const life = read(LIFE);
  return life && withoutSlash(life.from) !== issuer() ? '' : read(TOKEN) || '';
}
function getLocalUserInfo() {
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
  const began = flights;
  const land = () => { delete began[name]; };
  const running = began[name] || start();
  if (!began[name]) running.then(land, land);
  began[name] = running;
  return running;
}
function sameEra(began) {
  if (began !== era) throw new GatewayError(0, 'logged_out', '已退出登录');
}
function pathOf(url) {
  const path = options.baseUrl && url.startsWith(options.baseUrl) ? url.slice(options.baseUrl.length) : url;
  if (!/^\/(?![/\\])/.test(path)) throw new GatewayError(0, 'config', `不是网关的地址: ${url}`);
  return path;
}
function addressOf(url) {
  if (!options.baseUrl) throw new GatewayError(0, 'config', '没有配置 baseUrl');
  return options.baseUrl + pathOf(url);
}
const bearer = (token) => ({ Authorization: token ? `Bearer ${token}` : undefined });
async function post(path, token, data = {}) {
  const out = { method: 'POST', path, header: headerOf({}, Object.assign(bearer(token), { 'X-App-Id': options.appId })), data, timeout: options.timeout };
  const answer = await send(out, options);
  if (answer.statusCode >= 400 || !Object(answer.data).data) throw refusal(answer);
  return answer.data.data;
}
async function newCode() {
  const { code } = await call('login', {});
  if (!code || (code === lastCode && code !== TOURIST_CODE)) throw new GatewayError(0, 'wx_code_used', '微信登录凭证已使用，请重试');
  lastCode = code;
  return code;
}
const isTemporary = (avatar) => !/^https:\/\//.test(avatar || '');
async function login({ nickName, avatarUrl, code }) {
  const began = era;
  const fields = { nickName, avatarUrl: isTemporary(avatarUrl) ? undefined : avatarUrl };
  const path = `/api/v1/auth/${options.cloudLogin ? 'cloud-login' : 'wx-login'}`;
  const grant = await post(path, '', options.cloudLogin ? fields : Object.assign({ code: code || await newCode() }, fields));
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
  const life = read(LIFE);
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
  const unsupported = e.reason === 'unsupported';
  if (unsupported || (e.code >= 400 && e.code < 500 && e.code !== 429)) forget(token);
  if (!unsupported) throw e;
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
const inText = (value) => encodeURIComponent(Object.prototype.toString.call(value) === '[object Object]' ? JSON.stringify(value) : value);
function withQuery(path, data) {
  const query = Object.keys(data).filter((key) => data[key] !== undefined)
    .map((key) => `${encodeURIComponent(key)}=${inText(data[key])}`).join('&');
  return query ? path + (path.includes('?') ? '&' : '?') + query : path;
}
function announced(outcome, { success, fail, complete }) {
  const tell = (value, listener) => {
    if (listener) listener(value);
    if (complete) complete(value);
  };
  if (success || fail || complete) outcome.then((answer) => tell(answer, success), (error) => tell(error, fail));
  return outcome;
}
const LISTENERS = ['success', 'fail', 'complete', 'onTask'];
function request(wanted) {
  return announced(requested(wanted), wanted);
}
async function requested(wanted) {
  const { data, header, onTask } = wanted;
  const method = (wanted.method || 'GET').toUpperCase();
  const inQuery = method === 'GET' && data && typeof data === 'object' && !isBytes(data);
  const at = pathOf(wanted.url);
  const path = inQuery ? withQuery(at, data) : at;
  const began = era;
  const own = { method, path, data: inQuery ? undefined : data, timeout: wanted.timeout || options.timeout };
  const out = Object.assign(without(wanted, LISTENERS.concat('url')), own);
  const answer = await withToken((token) => send(Object.assign({}, out, { header: headerOf(header, bearer(token)) }), options, onTask));
  const user = path === PROFILE && Object(answer.data).data;
  if (user && began === era && getLocalToken()) write(USER, user);
  return answer;
}
function transfer(name, file) {
  const sent = withToken(async (token) => {
    const at = { url: addressOf(file.url), header: headerOf(file.header, bearer(token)) };
    const result = await call(name, Object.assign({ timeout: 60000 }, without(file, LISTENERS), at), file.onTask);
    return Object.assign(answerOf(result), { data: parsed(result.statusCode >= 400 && result.tempFilePath ? textIn(result.tempFilePath) : result.data) });
  });
  return announced(sent, file);
}
function textIn(path) {
  try {
    const files = api().getFileSystemManager();
    const { size } = (files.statSync(path));
    return size > LARGEST_REFUSAL ? undefined : String(files.readFileSync(path, 'utf8'));
  } catch (_) {
    return undefined;
  }
}
const upload = (file) => transfer('uploadFile', Object.assign({ name: 'file' }, file));
const download = (file) => transfer('downloadFile', file);
async function connectSocket(socket) {
  const url = addressOf(socket.url).replace(/^http/, 'ws');
  const header = headerOf(socket.header, bearer(await usableToken()));
  const forTask = options.api ? { complete() { } } : {};
  return api().connectSocket(Object.assign(forTask, socket, { url, header }));
}
async function bindPhone(detail) {
  const { code, encryptedData, iv } = detail;
  if (!code && !encryptedData) throw new GatewayError(0, 'cancelled', '未授权手机号');
  const answer = await request({ url: '/api/v1/auth/phone', method: 'POST', data: code ? { code } : { encryptedData, iv } });
  return answer.data.data;
}
async function decrypt(source) {
  const stale = await call('checkSession', {}).then(() => '', getLocalToken);
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
async function payVirtual(order, signing) {
  const began = era;
  try {
    await pay(order, signing);
  } catch (error) {
    if (!mayBeStale((error)) || began !== era || !getLocalToken()) throw error;
    await wechatLogin();
    await pay(order, signing);
  }
}
const mayBeStale = ({ reason, errCode = 0 }) => reason === 'session_key_stale' || [-15005, 702002].includes(errCode);
async function pay(order, signing) {
  const answer = await request(Object.assign({}, signing, { url: '/api/v1/pay/virtual/sign', method: ('POST'), data: { order } }));
  const { mode, signData, paySig, signature } = answer.data.data;
  const name = mode === 'retail_pay_goods' ? 'requestCommonPayment' : 'requestVirtualPayment';
  await call(name, { mode, signData, paySig, signature }).catch((e) => { throw paymentError(e); });
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
  request, upload, download, connectSocket, bindPhone, decrypt, payVirtual,
};
