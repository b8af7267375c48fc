/**
 * A phone for unit tests: the wx functions that the client calls, storage in memory, and a gateway in the same process
 * whose answers can be held back, so that a test decides what lands first. The real gateway plays in tests/e2e.
 */

/** @typedef {{method: string, path: string, header: Record<string, string>, data?: any, file?: string}} Call */
/** @typedef {{statusCode: number, header?: Record<string, string>, data?: any, chunks?: Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>}} Reply chunks is what wx.request is told when it asks for them */

const LIFETIME = 1000; // seconds

class Gateway {
  constructor() {
    /** @type {Call[]} */
    this.calls = [];
    this.live = new Set();
    this.issued = 0;
    this.refreshes = true;
    this.recent = new Set(); // tokens of a login that is not five minutes old
    this.grace = false; // whether a deleted account is kept for some days, and a login takes the deletion back
    this.deleted = false;
    /** @type {(call: Call) => Promise<Reply | void> | Reply | void} */
    this.before = () => {};
  }

  /** @param {string} path */
  count(path) {
    return this.calls.filter((call) => call.path.split('?')[0] === path).length;
  }

  grant() {
    const token = `token-${++this.issued}`;
    this.live.add(token);
    return { access_token: token, token_type: 'Bearer', expires_in: LIFETIME };
  }

  /** @param {Call} call @returns {Promise<Reply>} */
  async answer(call) {
    this.calls.push(call);
    const reply = (await this.before(call)) || this.route(call);
    return Object.assign({ header: { 'X-Request-Id': 'r1', 'Content-Type': 'application/json' } }, reply);
  }

  /** @param {Call} call @returns {Reply} */
  route(call) {
    const token = (call.header.Authorization || '').slice('Bearer '.length);
    const path = call.path.split('?')[0];
    if (path === '/api/v1/auth/wx-login' || path === '/api/v1/auth/cloud-login') {
      const grant = this.grant();
      this.recent.add(grant.access_token);
      this.deleted = false;
      return success(Object.assign(grant, { user: this.user(call.data) }));
    }
    if (path === '/api/v1/auth/refresh') return this.refreshes ? success(this.grant()) : refusal(401, 'token_reused');
    if (path === '/api/v1/public') return success('anyone');
    if (!this.live.has(token)) return refusal(401, token ? 'token_expired' : 'token_missing');
    if (path === '/api/v1/user/profile') return success(this.user(call.data));
    if (path === '/api/v1/pay/virtual/sign') return success(this.sign(call.data.order));
    if (path === '/api/v1/user' || path === '/api/v1/user/export') return this.rights(call, token);
    if (path === '/api/v1/uploads') return success({ url: 'https://cdn.example/a.png' });
    return success({ path });
  }

  /** A person's own rights. @param {Call} call @param {string} token @returns {Reply} */
  rights(call, token) {
    if (!this.recent.has(token)) return refusal(403, 'login_too_old');
    if (call.method === 'GET') return success({ user: this.user(), phone: null, sessions: [] });
    this.live.clear();
    this.refreshes = false;
    this.deleted = true;
    return success({ deletes_at: this.grace ? '2026-12-07T00:00:00Z' : null });
  }

  /** The signatures name the login whose session_key made them. @param {any} order */
  sign(order) {
    const signData = `{"outTradeNo": "${JSON.stringify(order)}",  "env":1}`; // with its spaces, as a service may write it
    return { mode: 'short_series_goods', signData, paySig: 'p', signature: `s${this.count('/api/v1/auth/wx-login')}` };
  }

  /** @param {any} [data] */
  user(data = {}) {
    return { id: 1, openid: 'o1', nickname: data.nickName || data.nickname || '', avatar: data.avatarUrl || data.avatar || '' };
  }
}

/** @param {any} data @returns {Reply} */
function success(data) {
  return { statusCode: 200, data: { code: 200, message: 'success', data } };
}

/** @param {number} statusCode @param {string} reason @returns {Reply} */
function refusal(statusCode, reason) {
  return { statusCode, data: { code: statusCode, reason, message: `拒绝：${reason}`, request_id: 'r1' } };
}

/** An answer that a test lets go when it wants. */
function held() {
  /** @type {(reply?: any) => void} */
  let release = () => {};
  const promise = new Promise((resolve) => { release = resolve; });
  return { promise, release };
}

/** What needs no network. @param {Map<string, string>} files */
const local = (files) => ({
  getFileSystemManager: () => ({
    statSync: (/** @type {string} */ path) => ({ size: (files.get(path) || '').length }),
    readFileSync: (/** @type {string} */ path) => files.get(path),
  }),
  arrayBufferToBase64: (/** @type {ArrayBuffer} */ bytes) => Buffer.from(bytes).toString('base64'),
  base64ToArrayBuffer: (/** @type {string} */ text) => new Uint8Array(Buffer.from(text, 'base64')).buffer,
});

/** @param {{storage: Map<string, any>, storageIsFull: boolean}} phone */
const storageOf = (phone) => ({
  /** @param {string} key */
  getStorageSync: (key) => (phone.storage.has(key) ? structuredClone(phone.storage.get(key)) : ''),
  /** @param {string} key @param {any} value */
  setStorageSync: (key, value) => {
    if (phone.storageIsFull) throw new Error('setStorageSync:fail exceed storage max size 10Mb');
    phone.storage.set(key, structuredClone(value));
  },
  /** @param {string} key */
  removeStorageSync: (key) => { phone.storage.delete(key); },
});

/** @param {{payment: (given: any) => any}} phone @param {(name: string, o: any, work: () => any) => any} run */
function paymentsOf(phone, run) {
  /** @param {string} name @returns {(o: any) => any} */
  const paying = (name) => (o) => run(name, o, () => {
    const { errCode, errMsg = `${name}:fail` } = phone.payment(o) || { errCode: 0 };
    if (errCode) throw Object.assign(new Error(), { errCode, errMsg });
  });
  return { requestVirtualPayment: paying('requestVirtualPayment'), requestCommonPayment: paying('requestCommonPayment') };
}

/**
 * An answer that comes in chunks, as the listeners of its task are told: the status, each chunk, and at the end an answer without data.
 * @param {{head?: any, chunk?: any}} listeners @param {Reply} reply @param {string} kind
 */
async function inChunks(listeners, reply, kind) {
  const header = reply.header || {};
  const head = () => { if (listeners.head) listeners.head(kind === 'devtools' ? { header } : { header, statusCode: reply.statusCode }); };
  if (kind !== 'late') head();
  let count = 0;
  for await (const chunk of reply.chunks || [JSON.stringify(reply.data)]) {
    if (listeners.chunk) listeners.chunk({ data: new Uint8Array(Buffer.from(/** @type {any} */ (chunk))).buffer });
    if (kind === 'late' && !count++) head();
  }
  return { header, statusCode: kind === 'mac' ? NaN : reply.statusCode, data: new ArrayBuffer(0) };
}

/** @param {any} o @param {() => Promise<Reply>} answer @param {{kind: string}} phone @param {(name: string, o: any, work: () => any, task: object) => any} run */
function requestOf(o, answer, phone, run) {
  /** @type {{head?: any, chunk?: any}} */
  const listeners = {};
  const task = {
    onHeadersReceived: (/** @type {any} */ listener) => { listeners.head = listener; },
    onChunkReceived: (/** @type {any} */ listener) => { listeners.chunk = listener; },
  };
  return run('request', o, async () => (o.enableChunked ? inChunks(listeners, await answer(), phone.kind) : answer()), task);
}

/** The end of a wx call, which comes once. @param {any} options @returns {(how: 'success' | 'fail', what: any) => void} */
function onceOver(options) {
  let over = false;
  return (how, what) => {
    if (!over && options[how]) options[how](what);
    over = true;
  };
}

/** @param {Gateway} gateway @param {string} base */
function createWx(gateway, base) {
  const storage = new Map();
  let codes = 0;
  const phone = {
    storage,
    /** @type {string[]} */
    calls: [],
    /** @type {any[]} what each of these calls was given */
    given: [],
    /** @type {any} what every call fails with, if anything */
    failure: null,
    storageIsFull: false,
    taskOf: (/** @type {any} */ task) => task,
    /** @type {Map<string, string>} */
    files: new Map(),
    code: () => `code-${++codes}`,
    online: true, sessionFresh: true, kind: 'phone', // or devtools, which tells no status before the end, mac, which tells none there, or late, which tells it after a chunk
    payment: /** @type {(given: any) => any} what it fails with, if anything */ (() => undefined),
  };
  /** @param {string} name @param {any} options @param {() => any} work @param {object} [task] what else can be done with it */
  const run = (name, options, work, task = {}) => {
    phone.calls.push(name);
    phone.given.push(options);
    const end = onceOver(options);
    Promise.resolve().then(() => { if (phone.failure) throw phone.failure; }).then(work).then(
      (result) => end('success', Object.assign({ errMsg: `${name}:ok` }, result)),
      (error) => end('fail', error.errMsg ? error : { errMsg: `${name}:fail ${error.message}` }),
    );
    return phone.taskOf({ ...task, abort: () => end('fail', { errMsg: `${name}:fail abort` }) });
  };
  /** @param {Call} call */
  const reach = (call) => {
    if (!phone.online) throw new Error('net::ERR_INTERNET_DISCONNECTED');
    return gateway.answer(call.data && !(call.data instanceof ArrayBuffer) ? Object.assign({}, call, { data: JSON.parse(JSON.stringify(call.data)) }) : call);
  };
  /** @param {string} url */
  const pathIn = (url) => {
    if (!url.startsWith(base)) throw new Error(`left the gateway: ${url}`);
    return url.slice(base.length);
  };
  const wx = {
    ...storageOf(phone), ...paymentsOf(phone, run),
    /** @param {any} o */
    login: (o) => run('login', o, () => ({ code: phone.code() })),
    /** @param {any} o */
    checkSession: (o) => run('checkSession', o, () => { if (!phone.sessionFresh) throw new Error('session expired'); }),
    /** @param {any} o */
    request: (o) => requestOf(o, () => reach({ method: o.method, path: pathIn(o.url), header: o.header, data: o.data }), phone, run),
    /** @param {any} o */
    uploadFile: (o) => run('uploadFile', o, async () => {
      const reply = await reach({ method: 'POST', path: pathIn(o.url), header: o.header, file: o.filePath });
      return { statusCode: reply.statusCode, data: JSON.stringify(reply.data) };
    }),
    /** @param {any} o */
    downloadFile: (o) => run('downloadFile', o, async () => {
      const reply = await reach({ method: 'GET', path: pathIn(o.url), header: o.header });
      phone.files.set('wxfile://tmp_1', JSON.stringify(reply.data));
      return { statusCode: reply.statusCode, header: reply.header, tempFilePath: 'wxfile://tmp_1' };
    }),
    /** @param {any} o */
    connectSocket: (o) => ({ opened: o }),
    ...local(phone.files),
    cloud: {
      /** @param {any} o */
      callContainer: (o) => run('callContainer', o, () => reach({ method: o.method, path: o.path, header: o.header, data: o.data })),
      /** @param {any} o */
      callFunction: (o) => run('callFunction', o, async () => {
        const event = JSON.parse(JSON.stringify(o.data)); // an event is JSON
        const reply = await reach({ method: event.method, path: event.path, header: event.headers, data: event.data });
        return { result: Object.assign({}, reply, { header: undefined, headers: reply.header }) };
      }),
    },
  };
  return { wx, phone };
}

/** A phone with a gateway and a client that has just been loaded. */
function startApp(options = {}) {
  const base = 'https://gw.example';
  const gateway = new Gateway();
  const { wx, phone } = createWx(gateway, base);
  Object.assign(globalThis, { wx });
  const file = require.resolve(process.env.WXGATE_CLIENT || '../../utils/wechat-login');
  delete require.cache[file];
  const client = /** @type {typeof import('../../utils/wechat-login')} */ (require(file));
  client.configure(Object.assign({ baseUrl: base }, options));
  return { gateway, phone, client, wx };
}

module.exports = { Gateway, LIFETIME, held, refusal, startApp, success };
