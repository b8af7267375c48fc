/**
 * The client of wxgate: log in with WeChat, keep the token, call the services behind the gateway.
 * Pages call these functions and never handle a token themselves. Only this file and transport.js are needed.
 */
const { GatewayError, LARGEST_REFUSAL, answerOf, api, call, headerOf, isBytes, parsed, paymentError, refusal, send, usePlatform, without } = require('./transport');

/**
 * @template [T=any]
 * @typedef {import('./transport').Answer<T>} Answer
 */
/** @typedef {import('./transport').Failure} Failure */
/** @typedef {import('./transport').Options} Options */
/** @typedef {{id: number, openid: string, nickname: string, avatar: string, [field: string]: any}} User */
/** @typedef {{nickName?: string, avatarUrl?: string, code?: string}} Profile avatarUrl may be the temporary file of chooseAvatar; code is one of wx.login that was handed over, to a page in a browser say */
/** @typedef {{code?: string, encryptedData?: string, iv?: string, rawData?: string, signature?: string}} Sealed */
/** @typedef {'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD' | 'OPTIONS'} Method */
/**
 * @template Task
 * @typedef {{success?: (answer: Answer) => void, fail?: (error: Failure) => void, complete?: (outcome: any) => void, onTask?: (task: Task) => void}} Listeners
 */
/** @typedef {'url' | 'method' | 'name' | 'data' | 'header' | 'success' | 'fail' | 'complete'} Ours what these options are is said here, not in the typings of WeChat */
/** @typedef {{url: string, header?: Record<string, string>}} Target url is a path such as /api/v1/recipes */
/** @typedef {Omit<WechatMiniprogram.RequestOption, Ours> & Target & Listeners<WechatMiniprogram.RequestTask> & {method?: Method | Lowercase<Method>, data?: any}} Request */
/** @typedef {Omit<WechatMiniprogram.UploadFileOption, Ours> & Target & Listeners<WechatMiniprogram.UploadTask> & {name?: string}} Upload */
/** @typedef {Omit<WechatMiniprogram.DownloadFileOption, Ours> & Target & Listeners<WechatMiniprogram.DownloadTask>} Download */
/** @typedef {Omit<WechatMiniprogram.ConnectSocketOption, 'url' | 'header'> & Target} Socket */
/** @typedef {{phoneNumber: string, purePhoneNumber: string, countryCode: string, [field: string]: any}} Phone */
/** @typedef {{access_token: string, user: User, avatarError?: Failure}} Login */

const TOKEN = 'access_token'; // the text, as pages have always read it
const USER = 'user_info';
const LIFE = 'access_token_life'; // {from, issuedAt, expiresAt} of the token
const PROFILE = '/api/v1/user/profile';
const TOURIST_CODE = 'the code is a mock one'; // of touristappid, each time; only a sandbox takes it

/** @type {Options & {timeout: number, uploadPath: string}} */
let options = { baseUrl: '', functionName: 'api-proxy', uploadPath: '/api/v1/uploads', timeout: 15000 };
let era = 0; // grows with each logout: what began in an earlier era changes nothing
let lastCode = '';
let refused = ''; // the token that the gateway would not refresh
let leaving = ''; // the token that logout() is giving back
/** @type {Record<string, Promise<any> | undefined>} */
let flights = {};
/** @type {Record<string, any>} */
const unsaved = {}; // what the phone's storage did not take: it is full, say. It lives until the mini-program ends

/**
 * Call it once, in app.js.
 * @param {Options} changes
 */
function configure(changes) {
  options = Object.assign({}, options, changes);
  options.baseUrl = withoutSlash(options.baseUrl || '');
  usePlatform(options.api);
}

/** @param {string} address */
const withoutSlash = (address) => address.replace(/\/+$/, '');

/** @param {string} key @returns {any} */
function read(key) {
  return key in unsaved ? unsaved[key] : api().getStorageSync(key);
}

/** @param {string} key @param {any} value '' removes it */
function write(key, value) {
  unsaved[key] = value;
  try {
    if (value === '') api().removeStorageSync(key);
    else api().setStorageSync(key, value);
    delete unsaved[key];
  } catch (_) { /* a login that stands is worth more than its copy */ }
}

/** Where tokens come from; one gateway never sees the tokens of another. */
function issuer() {
  return options.baseUrl || `${options.env}/${options.service || options.functionName}`;
}

/** @returns {string} '' when logged out */
function getLocalToken() {
  const life = read(LIFE);
  return life && withoutSlash(life.from) !== issuer() ? '' : read(TOKEN) || '';
}

/** @returns {User | null} */
function getLocalUserInfo() {
  return (getLocalToken() && read(USER)) || null;
}

/**
 * An older token never stands beside the life of this one.
 * @param {{access_token: string, expires_in: number}} grant @param {User} [user]
 */
function keep(grant, user) {
  const issuedAt = Date.now();
  write(TOKEN, '');
  write(LIFE, { from: issuer(), issuedAt, expiresAt: issuedAt + grant.expires_in * 1000 });
  write(TOKEN, grant.access_token);
  if (user) write(USER, user);
}

/** @param {string} token nothing happens when another one is stored by now */
function forget(token) {
  if (getLocalToken() === token) [TOKEN, USER, LIFE].forEach((key) => write(key, ''));
}

/** @template T @param {string} name @param {() => Promise<T>} start @returns {Promise<T>} the one that is under way, or a new one */
function shared(name, start) {
  const began = flights;
  const land = () => { delete began[name]; };
  const running = began[name] || start();
  if (!began[name]) running.then(land, land);
  began[name] = running;
  return running;
}

/** @param {number} began throws when there was a logout since */
function sameEra(began) {
  if (began !== era) throw new GatewayError(0, 'logged_out', '已退出登录');
}

/** @param {string} url @returns {string} a path of the gateway; a token goes nowhere else */
function pathOf(url) {
  const path = options.baseUrl && url.startsWith(options.baseUrl) ? url.slice(options.baseUrl.length) : url;
  if (!/^\/(?![/\\])/.test(path)) throw new GatewayError(0, 'config', `不是网关的地址: ${url}`);
  return path;
}

/** @param {string} url @returns {string} for what does not go by the cloud: files and sockets */
function addressOf(url) {
  if (!options.baseUrl) throw new GatewayError(0, 'config', '没有配置 baseUrl');
  return options.baseUrl + pathOf(url);
}

/**
 * Nobody else's Authorization is sent, also for a guest.
 * @param {string} token
 */
const bearer = (token) => ({ Authorization: token ? `Bearer ${token}` : undefined });

/** @param {string} path @param {string} token @param {object} [data] @returns {Promise<any>} data of the answer */
async function post(path, token, data = {}) {
  const out = { method: 'POST', path, header: headerOf({}, Object.assign(bearer(token), { 'X-App-Id': options.appId })), data, timeout: options.timeout };
  const answer = await send(out, options);
  if (answer.statusCode >= 400 || !Object(answer.data).data) throw refusal(answer);
  return answer.data.data;
}

/** @returns {Promise<string>} a code that was never sent before, or a tourist's */
async function newCode() {
  const { code } = await call('login', {});
  if (!code || (code === lastCode && code !== TOURIST_CODE)) throw new GatewayError(0, 'wx_code_used', '微信登录凭证已使用，请重试');
  lastCode = code;
  return code;
}

/** @param {string} [avatar] @returns {boolean} whether it is a file of this phone, or nothing */
const isTemporary = (avatar) => !/^https:\/\//.test(avatar || '');

/** @param {Profile} profile @returns {Promise<Login>} */
async function login({ nickName, avatarUrl, code }) {
  const began = era;
  const fields = { nickName, avatarUrl: isTemporary(avatarUrl) ? undefined : avatarUrl };
  const path = `/api/v1/auth/${options.cloudLogin ? 'cloud-login' : 'wx-login'}`;
  const grant = await post(path, '', options.cloudLogin ? fields : Object.assign({ code: code || await newCode() }, fields));
  sameEra(began);
  keep(grant, grant.user);
  return grant;
}

/**
 * Logs in, whoever else is doing so at the moment. A temporary avatar is uploaded after the login; when only that fails,
 * the login stands and avatarError says why.
 * @param {Profile} [profile] @returns {Promise<Login>}
 */
async function wechatLogin(profile = {}) {
  const joined = flights.login;
  const granted = await shared('login', () => login(profile));
  const began = era;
  try {
    const changes = await changesOf(profile, joined);
    if (Object.keys(changes).length) await request({ url: PROFILE, method: 'PUT', data: changes });
  } catch (error) {
    sameEra(began);
    return Object.assign({ avatarError: /** @type {Failure} */ (error) }, current(granted));
  }
  return current(granted);
}

/** @param {Login} granted @returns {Login} with what was saved since */
const current = (granted) => ({ access_token: getLocalToken(), user: getLocalUserInfo() || granted.user });

/**
 * What the login itself did not carry.
 * @param {Profile} profile @param {unknown} joined another caller's login, if any
 */
async function changesOf({ nickName, avatarUrl }, joined) {
  /** @type {{nickname?: string, avatar?: string}} */
  const changes = joined && nickName ? { nickname: nickName } : {};
  if (avatarUrl && isTemporary(avatarUrl)) {
    const answer = await upload({ url: options.uploadPath, filePath: avatarUrl });
    const { url } = Object(Object(answer.data).data);
    if (!url) throw refusal(answer);
    changes.avatar = url;
  } else if (joined && avatarUrl) changes.avatar = avatarUrl;
  return changes;
}

/**
 * Changes the token for a new one of the same session.
 * @returns {Promise<string>}
 */
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

/** @param {unknown} error @param {number} code @returns {error is Failure} */
const isCode = (error, code) => error instanceof GatewayError && error.code === code;

/**
 * The token to send: refreshed in the last tenth of its life, and after it. The gateway's 401 has the last word, so a
 * request that began with a token is never sent without one, as if by a guest.
 */
async function usableToken() {
  if (!getLocalToken() && flights.login) await flights.login.catch(() => {});
  const token = getLocalToken();
  const life = read(LIFE);
  const late = life && Date.now() > life.expiresAt - (life.expiresAt - life.issuedAt) / 10;
  if (late && token) await refreshToken().catch(() => {});
  return getLocalToken() || token;
}

/**
 * After a 401: one refresh, else one silent login.
 * @param {string} failed @returns {Promise<string>} '' to give up
 */
async function renew(failed) {
  if (getLocalToken() !== failed || failed === leaving) return getLocalToken(); // somebody was faster, or logs out
  if (failed !== refused) {
    const error = await refreshToken().then(() => null, (e) => e);
    if (!error || getLocalToken() !== failed) return getLocalToken();
    if (!isCode(error, 401)) throw error;
  }
  if (getLocalToken() === failed) await shared('login', () => login({})).catch((e) => hopeless(e, failed));
  return getLocalToken();
}

/**
 * A silent login that WeChat or the gateway refused ends the session, as does a browser, which has none, so that the 401
 * is the answer; anything else may pass.
 * @param {Failure} e @param {string} token
 */
function hopeless(e, token) {
  const unsupported = e.reason === 'unsupported';
  if (unsupported || (e.code >= 400 && e.code < 500 && e.code !== 429)) forget(token);
  if (!unsupported) throw e;
}

/**
 * The one door: every call goes through it.
 * @param {(token: string) => Promise<Answer>} sendOnce
 */
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

/** @param {any} value @returns {string} */
const inText = (value) => encodeURIComponent(Object.prototype.toString.call(value) === '[object Object]' ? JSON.stringify(value) : value);

/** @param {string} path @param {any} data @returns {string} */
function withQuery(path, data) {
  const query = Object.keys(data).filter((key) => data[key] !== undefined)
    .map((key) => `${encodeURIComponent(key)}=${inText(data[key])}`).join('&');
  return query ? path + (path.includes('?') ? '&' : '?') + query : path;
}

/**
 * Tells the callbacks of who writes as for wx.request, once, when all is over. The promise says the same.
 * @template T @param {Promise<T>} outcome @param {Listeners<any>} listeners @returns {Promise<T>}
 */
function announced(outcome, { success, fail, complete }) {
  /** @param {any} value @param {any} [listener] */
  const tell = (value, listener) => {
    if (listener) listener(value);
    if (complete) complete(value);
  };
  if (success || fail || complete) outcome.then((answer) => tell(answer, success), (error) => tell(error, fail));
  return outcome;
}

const LISTENERS = ['success', 'fail', 'complete', 'onTask'];

/**
 * Calls the gateway, with the token if there is one. A status of 400 or more, and no answer, reject with GatewayError.
 * What is given beside goes to wx.request, callContainer or the cloud function; onTask is given each task of wx.request.
 * @template [T=any]
 * @param {Request} wanted url is a path such as /api/v1/recipes @returns {Promise<Answer<T>>}
 */
function request(wanted) {
  return announced(requested(wanted), wanted);
}

/** @param {Request} wanted @returns {Promise<Answer>} */
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

/** @param {string} name of the wx function @param {Upload | Download} file @returns {Promise<Answer>} */
function transfer(name, file) {
  const sent = withToken(async (token) => {
    const at = { url: addressOf(file.url), header: headerOf(file.header, bearer(token)) };
    const result = await call(name, Object.assign({ timeout: 60000 }, without(file, LISTENERS), at), file.onTask);
    return Object.assign(answerOf(result), { data: parsed(result.statusCode >= 400 && result.tempFilePath ? textIn(result.tempFilePath) : result.data) });
  });
  return announced(sent, file);
}

/** @param {string} path of a refusal, which wx.downloadFile puts into a file @returns {string | undefined} */
function textIn(path) {
  try {
    const files = api().getFileSystemManager();
    const { size } = /** @type {WechatMiniprogram.Stats} */ (files.statSync(path));
    return size > LARGEST_REFUSAL ? undefined : String(files.readFileSync(path, 'utf8'));
  } catch (_) {
    return undefined;
  }
}

/**
 * Sends a file.
 * @template [T=any] @param {Upload} file @returns {Promise<Answer<T>>}
 */
const upload = (file) => transfer('uploadFile', Object.assign({ name: 'file' }, file));

/**
 * Fetches a file; tempFilePath is where it is.
 * @param {Download} file @returns {Promise<Answer>}
 */
const download = (file) => transfer('downloadFile', file);

/**
 * A promise, because the token may have to be renewed first. In a browser no header goes along, and so no token.
 * @param {Socket} socket @returns {Promise<WechatMiniprogram.SocketTask>}
 */
async function connectSocket(socket) {
  const url = addressOf(socket.url).replace(/^http/, 'ws');
  const header = headerOf(socket.header, bearer(await usableToken()));
  const forTask = options.api ? { complete() {} } : {}; // without a callback uni answers no task
  return api().connectSocket(Object.assign(forTask, socket, { url, header }));
}

/**
 * Binds the phone of <button open-type="getPhoneNumber">.
 * @param {Sealed} detail e.detail of its event @returns {Promise<Phone>}
 */
async function bindPhone(detail) {
  const { code, encryptedData, iv } = detail;
  if (!code && !encryptedData) throw new GatewayError(0, 'cancelled', '未授权手机号');
  const answer = await request({ url: '/api/v1/auth/phone', method: 'POST', data: code ? { code } : { encryptedData, iv } });
  return answer.data.data;
}

/**
 * Opens what WeChat sealed with the session_key, which never leaves the gateway.
 * @param {Sealed | (() => Promise<Sealed>)} source a function such as () => wx.getWeRunData() is called with a key that
 * is known to be good, and a second time when the gateway's was stale @returns {Promise<any>}
 */
async function decrypt(source) {
  const stale = await call('checkSession', {}).then(() => '', getLocalToken); // a guest is not logged in for this
  if (stale) await wechatLogin();
  try {
    return await opened(source);
  } catch (error) {
    if (!isCode(error, 409) || typeof source !== 'function' || !getLocalToken()) throw error;
    await wechatLogin();
    return opened(source);
  }
}

/** @param {Sealed | (() => Promise<Sealed>)} source */
async function opened(source) {
  const { encryptedData, iv, rawData, signature } = await (typeof source === 'function' ? source() : source);
  const data = { encryptedData, iv, rawData, signature };
  return (await request({ url: '/api/v1/auth/decrypt', method: 'POST', data })).data.data;
}

/**
 * Buys something by virtual payment. When it resolves, WeChat has taken the money; what was bought is delivered by the
 * service, when WeChat tells it. A session_key that is stale, or seems so, is renewed by one login, and then the order is signed and paid anew.
 * @param {any} order what the service calls it: a number, a text or an object
 * @param {Pick<Request, 'header' | 'timeout'>} [signing] options of the request to sign
 * @returns {Promise<void>} rejects with the reason 'cancelled' when the user changes their mind
 */
async function payVirtual(order, signing) {
  const began = era;
  try {
    await pay(order, signing);
  } catch (error) {
    if (!mayBeStale(/** @type {Failure} */ (error)) || began !== era || !getLocalToken()) throw error;
    await wechatLogin();
    await pay(order, signing);
  }
}

/**
 * A signature by a session_key that was replaced may just be wrong: B2b has no other number for it.
 * @param {Failure} error
 */
const mayBeStale = ({ reason, errCode = 0 }) => reason === 'session_key_stale' || [-15005, 702002].includes(errCode);

/** @param {any} order @param {Pick<Request, 'header' | 'timeout'>} [signing] */
async function pay(order, signing) {
  const answer = await request(Object.assign({}, signing, { url: '/api/v1/pay/virtual/sign', method: /** @type {Method} */ ('POST'), data: { order } }));
  const { mode, signData, paySig, signature } = answer.data.data; // signData is text, and stays as it was signed
  const name = mode === 'retail_pay_goods' ? 'requestCommonPayment' : 'requestVirtualPayment';
  await call(name, { mode, signData, paySig, signature }).catch((e) => { throw paymentError(e); });
}

/**
 * Asks the gateway; without a network the stored token counts.
 * @returns {Promise<boolean>}
 */
async function checkLoginStatus() {
  if (getLocalToken()) await request({ url: PROFILE }).catch(() => {}); // request() forgets what is over
  return Boolean(getLocalToken());
}

/**
 * Ends the session at the gateway, then here.
 * @param {{all?: boolean}} [which] @returns {Promise<boolean>} whether the gateway knows
 */
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
