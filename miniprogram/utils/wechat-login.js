/**
 * The client of wxgate: log in with WeChat, keep the token, call the services behind the gateway.
 * Pages call these functions and never handle a token themselves. Only this file and transport.js are needed.
 */
const { GatewayError, answerOf, api, call, decoder, fault, isBytes, lowerCase, parsed, paymentError, refusal, send, textIn, usePlatform, withField, without } = require('./transport');

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
/** @typedef {{responseType?: 'text', onChunk: (text: string) => void} | {responseType: 'arraybuffer', onChunk: (bytes: ArrayBuffer) => void}} Chunks text in UTF-8, whole characters each time, or bytes */
/** @typedef {Omit<Request, keyof Listeners<any> | 'enableChunked' | 'responseType' | 'dataType'> & Chunks} Streaming */
/** @typedef {Promise<Answer> & {abort: () => void}} Stream */
/** @typedef {Omit<WechatMiniprogram.UploadFileOption, Ours> & Target & Listeners<WechatMiniprogram.UploadTask> & {name?: string}} Upload */
/** @typedef {Omit<WechatMiniprogram.DownloadFileOption, Ours> & Target & Listeners<WechatMiniprogram.DownloadTask>} Download */
/** @typedef {Omit<WechatMiniprogram.ConnectSocketOption, 'url' | 'header'> & Target} Socket */
/** @typedef {{phoneNumber: string, purePhoneNumber: string, countryCode: string, [field: string]: any}} Phone */
/** @typedef {{access_token: string, user: User, avatarError?: Failure}} Login */

const TOKEN = 'access_token'; // the text, as pages have always read it
const USER = 'user_info';
const LIFE = 'access_token_life'; // {from, issuedAt, expiresAt, ending} of the token
const PROFILE = '/api/v1/user/profile';

/** @type {Options & {timeout: number, uploadPath: string}} */
let options = { baseUrl: '', functionName: 'api-proxy', uploadPath: '/api/v1/uploads', timeout: 15000 };
let era = 0; // grows with each logout: what began in an earlier era changes nothing
let lastCode = '';
let refused = ''; // the token that the gateway would not refresh
/** @type {Record<string, Promise<any> | undefined>} */
let flights = {};
/** @type {Record<string, any>} */
const unsaved = {}; // what the phone's storage did not take: it is full, say. It lives until the mini-program ends

/**
 * Call it once, in app.js.
 * @param {Options} changes
 */
function configure(changes) {
  options = { ...options, ...changes };
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
  const all = flights; // a logout begins anew
  const land = () => { delete all[name]; };
  const running = all[name] || start();
  if (!all[name]) running.then(land, land);
  all[name] = running;
  return running;
}

/** @param {number} began throws when there was a logout since */
function sameEra(began) {
  if (began !== era) throw fault('logged_out', '已退出登录');
}

/** @param {string} url @returns {string} a path of the gateway; a token goes nowhere else */
function pathOf(url) {
  const path = options.baseUrl && url.startsWith(options.baseUrl) ? url.slice(options.baseUrl.length) : url;
  if (!/^\/(?![/\\])/.test(path)) throw fault('config', `不是网关的地址: ${url}`);
  return path;
}

/** @param {string} url @returns {string} for what does not go by the cloud: files and sockets */
function addressOf(url) {
  if (!options.baseUrl) throw fault('config', '没有配置 baseUrl');
  return options.baseUrl + pathOf(url);
}

/**
 * Nobody else's Authorization is sent, also for a guest.
 * @param {Record<string, any> | undefined} header @param {string} token
 */
const authorized = (header, token) => withField(header, 'Authorization', token && `Bearer ${token}`);

/** @param {string} path @param {string} token @param {object} [data] @returns {Promise<any>} data of the answer */
async function post(path, token, data = {}) {
  const answer = await send({ method: 'POST', path, header: withField(authorized({}, token), 'X-App-Id', options.appId), data, timeout: options.timeout }, options);
  if (answer.statusCode >= 400 || !Object(answer.data).data) throw refusal(answer);
  return answer.data.data;
}

/** @returns {Promise<string>} a code that was never sent before, or that of touristappid, always the same, which only a sandbox takes */
async function newCode() {
  const { code } = await call('login', {});
  if (!code || (code === lastCode && code !== 'the code is a mock one')) throw fault('wx_code_used', '微信登录凭证已使用，请重试');
  lastCode = code;
  return code;
}

/** @param {string} [avatar] @returns {boolean} whether it is neither a file of this phone nor nothing */
const isRemote = (avatar = '') => /^https:\/\//.test(avatar);

/** @param {Profile} profile @returns {Promise<Login>} */
async function login({ nickName, avatarUrl, code }) {
  const began = era;
  const fields = { nickName, avatarUrl: isRemote(avatarUrl) ? avatarUrl : undefined };
  const path = `/api/v1/auth/${options.cloudLogin ? 'cloud-login' : 'wx-login'}`;
  const grant = await post(path, '', options.cloudLogin ? fields : { code: code || await newCode(), ...fields });
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
  const avatarError = await saveRest(profile, joined).catch((e) => {
    sameEra(began);
    return { avatarError: e };
  });
  return { ...avatarError, access_token: getLocalToken(), user: getLocalUserInfo() || granted.user };
}

/**
 * Saves what the login itself did not carry.
 * @param {Profile} profile @param {unknown} joined another caller's login, if any
 */
async function saveRest({ nickName, avatarUrl }, joined) {
  /** @type {{nickname?: string, avatar?: string}} */
  const changes = joined && nickName ? { nickname: nickName } : {};
  if (avatarUrl && !isRemote(avatarUrl)) {
    const answer = await upload({ url: options.uploadPath, filePath: avatarUrl });
    changes.avatar = Object(Object(answer.data).data).url;
    if (!changes.avatar) throw refusal(answer);
  } else if (joined && avatarUrl) changes.avatar = avatarUrl;
  if (Object.keys(changes).length) await request({ url: PROFILE, method: 'PUT', data: changes });
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
    const grant = await post('/api/v1/auth/refresh', token).catch((e) => {
      if (e.code === 401) refused = token;
      if (e.reason === 'token_revoked' && options.silentLogin === 'unless-revoked') forget(token);
      throw e;
    });
    if (began === era && getLocalToken() === token) keep(grant);
    return getLocalToken();
  });
}

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
 * After a 401: one refresh, else one silent login. When WeChat or the gateway refuses that login, the session is over, as it
 * is in a browser, which has none, so that the 401 is the answer; anything else may pass.
 * @param {string} failed @returns {Promise<string>} '' to give up
 */
async function renew(failed) {
  if (getLocalToken() !== failed) return getLocalToken(); // somebody was faster
  if (failed !== refused) await refreshToken().catch((e) => { if (e.code !== 401 && getLocalToken() === failed) throw e; });
  if (Object(read(LIFE)).ending) forget(failed);
  if (getLocalToken() === failed) await shared('login', () => login({})).catch((e) => {
    if (e.reason === 'unsupported' || (e.code >= 400 && e.code < 500 && e.code !== 429)) forget(failed);
    if (e.reason !== 'unsupported') throw e;
  });
  return getLocalToken();
}

/**
 * The one door: every call goes through it.
 * @param {(token: string) => Promise<Answer>} sendOnce
 */
async function withToken(sendOnce) {
  const token = await usableToken();
  let answer = await sendOnce(token);
  const next = answer.statusCode === 401 && token && await renew(token);
  if (next && next !== token) answer = await sendOnce(next);
  if (answer.statusCode >= 400) throw refusal(answer);
  return answer;
}

/** @param {any} value @returns {string} */
const inText = (value) => encodeURIComponent(String(value) === '[object Object]' ? JSON.stringify(value) : value);

/** @param {string} path @param {any} data @returns {string} */
function withQuery(path, data) {
  const query = Object.keys(data).filter((key) => data[key] !== undefined)
    .map((key) => `${encodeURIComponent(key)}=${inText(data[key])}`).join('&');
  return query ? path + (path.includes('?') ? '&' : '?') + query : path;
}

/**
 * Tells the callbacks of who writes as for wx.request, once, when all is over. The promise says the same.
 * @template T @param {Promise<T>} outcome @param {Partial<Record<'success' | 'fail' | 'complete', any>>} listeners @returns {Promise<T>}
 */
function announced(outcome, { success, fail, complete }) {
  const none = () => {};
  if (success || fail || complete) {
    outcome.then(success, fail || none);
    outcome.then(complete, complete || none);
  }
  return outcome;
}

const OURS = ['url', 'success', 'fail', 'complete', 'onTask', 'onChunk'];

/**
 * Calls the gateway, with the token if there is one. A status of 400 or more, and no answer, reject with GatewayError.
 * What is given beside goes to wx.request, callContainer or the cloud function; onTask is given each task of wx.request.
 * @template [T=any]
 * @param {Request} wanted url is a path such as /api/v1/recipes @returns {Promise<Answer<T>>}
 */
function request(wanted) {
  return announced(requested(wanted), wanted);
}

/** @param {Request} wanted @param {Options & {timeout: number}} [by] @returns {Promise<Answer>} */
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

/**
 * Calls the gateway and hands on what the service answers as it comes, an answer of an AI say. A status of 400 or more is no
 * stream: it rejects as in request(), and nothing is handed on. Goes to baseUrl by wx.request; 5 minutes unless timeout says otherwise.
 * @param {Streaming} wanted @returns {Stream} resolves when all has come; abort() ends it at once with the reason 'aborted'
 */
function stream(wanted) {
  const { onChunk, responseType, url } = /** @type {any} */ (wanted);
  const pieceOf = responseType === 'arraybuffer' ? (/** @type {ArrayBuffer} */ bytes) => bytes : decoder();
  /** @type {any} */
  let task;
  /** @type {ArrayBuffer[]} what may be a refusal: DevTools tells the status at the end only, so there it is JSON */
  let held = [];
  let status = 0;
  let over = false;
  const take = (/** @type {ArrayBuffer} */ bytes) => {
    if (!over) onChunk(pieceOf(bytes));
  };
  const onTask = (/** @type {any} */ started) => {
    task = started;
    if (!Object(task).onChunkReceived) throw fault('unsupported', '当前环境不支持流式输出');
    if (over) task.abort();
    held = [];
    let passes = false;
    task.onHeadersReceived((/** @type {any} */ head) => {
      status = head.statusCode;
      passes = status ? status < 400 : !/^application\/json/.test(lowerCase(head.header)['content-type']);
    });
    task.onChunkReceived((/** @type {{data: ArrayBuffer}} */ { data }) => (passes && !held.length ? take(data) : held.push(data)));
  };
  /** @param {number} statusCode @param {Record<string, string>} header @param {any} data */
  const refused = (statusCode, header, data) => refusal({ statusCode, header, data: held.map(decoder()).join('') || data });
  const received = async () => {
    addressOf(url);
    const given = /** @type {any} */ ({ timeout: 300000, ...wanted, enableChunked: true, responseType: 'arraybuffer', onTask });
    const answer = await requested(given, { ...options, transport: 'request' })
      .catch((e) => { throw e.reason === 'http' ? refused(e.code, e.header, e.body) : e; });
    if (status >= 400) throw refused(status, answer.header, answer.data); // a Mac says NaN at the end
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

/** @param {Request} wanted @returns {Promise<any>} data of the envelope */
async function dataOf(wanted) {
  return (await request(wanted)).data.data;
}

/** @param {string} name of the wx function @param {Upload | Download} file @returns {Promise<Answer>} */
function transfer(name, file) {
  const sent = withToken(async (token) => {
    const given = { timeout: 60000, ...without(file, OURS), url: addressOf(file.url), header: authorized(file.header, token) };
    const result = await call(name, given, file.onTask);
    return { ...answerOf(result), data: parsed(result.statusCode >= 400 && result.tempFilePath ? textIn(result.tempFilePath) : result.data) };
  });
  return announced(sent, file);
}

/**
 * Sends a file.
 * @template [T=any] @param {Upload} file @returns {Promise<Answer<T>>}
 */
const upload = (file) => transfer('uploadFile', { name: 'file', ...file });

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
  // without a callback uni answers no task
  return api().connectSocket({ complete() {}, ...socket, url, header: authorized(socket.header, await usableToken()) });
}

/**
 * Binds the phone of <button open-type="getPhoneNumber">.
 * @param {Sealed} detail e.detail of its event @returns {Promise<Phone>}
 */
async function bindPhone(detail) {
  const { code, encryptedData, iv } = detail;
  if (!code && !encryptedData) throw fault('cancelled', '未授权手机号');
  return dataOf({ url: '/api/v1/auth/phone', method: 'POST', data: code ? { code } : { encryptedData, iv } });
}

/**
 * Opens what WeChat sealed with the session_key, which never leaves the gateway.
 * @param {Sealed | (() => Promise<Sealed>)} source a function such as () => wx.getWeRunData() is called with a key that
 * is known to be good, and a second time when the gateway's was stale @returns {Promise<any>}
 */
async function decrypt(source) {
  const stale = await call('checkSession', {}).then(() => '', getLocalToken); // a guest is not logged in for this
  if (stale) await wechatLogin();
  return typeof source === 'function' ? afterLogin(async () => opened(await source())) : opened(source);
}

/** @param {Sealed} sealed */
function opened({ encryptedData, iv, rawData, signature }) {
  return dataOf({ url: '/api/v1/auth/decrypt', method: 'POST', data: { encryptedData, iv, rawData, signature } });
}

/**
 * Does it once more after one login, where that helps. A signature by a session_key that was replaced may just be wrong: B2b
 * has no other number for it.
 * @template T @param {() => Promise<T>} work @returns {Promise<T>}
 */
async function afterLogin(work) {
  const began = era;
  return work().catch(async (e) => {
    const helps = ['session_key_stale', 'login_too_old'].includes(e.reason) || [-15005, 702002].includes(e.errCode);
    if (!helps || began !== era || !getLocalToken()) throw e;
    await wechatLogin();
    return work();
  });
}

/**
 * Buys something by virtual payment. When it resolves, WeChat has taken the money; what was bought is delivered by the
 * service, when WeChat tells it. A session_key that is stale, or seems so, is renewed by one login, and then the order is signed and paid anew.
 * @param {any} order what the service calls it: a number, a text or an object
 * @param {Pick<Request, 'header' | 'timeout'>} [signing] options of the request to sign
 * @returns {Promise<void>} rejects with the reason 'cancelled' when the user changes their mind
 */
function payVirtual(order, signing) {
  return afterLogin(async () => {
    const signed = await dataOf({ ...signing, url: '/api/v1/pay/virtual/sign', method: 'POST', data: { order } }); // signData is text, and stays as it was signed
    const name = signed.mode === 'retail_pay_goods' ? 'requestCommonPayment' : 'requestVirtualPayment';
    await call(name, signed).catch((e) => { throw paymentError(e); });
  });
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
  const token = end();
  era += 1;
  flights = {};
  refused = token;
  const told = !token || await post(`/api/v1/auth/logout${which.all ? '?all=true' : ''}`, token).then(() => true, () => false);
  forget(token);
  return told;
}

/** From now on nobody is logged in silently in the place of this token, also after a restart. @returns {string} it */
function end() {
  const token = getLocalToken();
  if (token) write(LIFE, { from: issuer(), ...read(LIFE), ending: true });
  return token;
}

/**
 * Deletes the account of who is logged in, after one more login, which shows that it is the user who asks. From then on nobody is
 * logged in before the app calls wechatLogin(): a login would take a deletion with days of grace back.
 * @returns {Promise<{deletes_at: string | null}>} when it is final, where the gateway leaves days of grace
 */
function deleteAccount() {
  return shared('delete', async () => {
    if (getLocalToken()) await wechatLogin().catch((e) => { if (e.reason !== 'unsupported') throw e; }); // a browser has none: the gateway decides
    const token = end();
    const data = await dataOf({ url: '/api/v1/user', method: 'DELETE' });
    forget(token);
    return data;
  });
}

/** @returns {Promise<any>} what the gateway keeps of who is logged in: {user, phone, sessions, …} */
function exportAccount() {
  return afterLogin(() => dataOf({ url: '/api/v1/user/export' }));
}

module.exports = {
  GatewayError, configure,
  wechatLogin, checkLoginStatus, getLocalToken, getLocalUserInfo, refreshToken, logout,
  request, stream, upload, download, connectSocket, bindPhone, decrypt, payVirtual, exportAccount, deleteAccount,
};
