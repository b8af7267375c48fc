/**
 * A phone for unit tests: the wx functions that the client calls, storage in memory, and a gateway in the same process
 * whose answers can be held back, so that a test decides what lands first. The real gateway plays in tests/e2e.
 */

/** @typedef {{method: string, path: string, header: Record<string, string>, data?: any, file?: string}} Call */
/** @typedef {{statusCode: number, header?: Record<string, string>, data?: any}} Reply */

const LIFETIME = 1000; // seconds

class Gateway {
  constructor() {
    /** @type {Call[]} */
    this.calls = [];
    this.live = new Set();
    this.issued = 0;
    this.refreshes = true;
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
      return success(Object.assign(this.grant(), { user: this.user(call.data) }));
    }
    if (path === '/api/v1/auth/refresh') return this.refreshes ? success(this.grant()) : refusal(401, 'token_reused');
    if (path === '/api/v1/public') return success('anyone');
    if (!this.live.has(token)) return refusal(401, token ? 'token_expired' : 'token_missing');
    if (path === '/api/v1/user/profile') return success(this.user(call.data));
    if (path === '/api/v1/uploads') return success({ url: 'https://cdn.example/a.png' });
    return success({ path });
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

/** @param {Gateway} gateway @param {string} base */
function createWx(gateway, base) {
  const storage = new Map();
  let codes = 0;
  const phone = {
    storage,
    /** @type {string[]} */
    calls: [],
    code: () => `code-${++codes}`,
    online: true,
    sessionFresh: true,
  };
  /** @param {string} name @param {any} options @param {() => any} work */
  const run = (name, options, work) => {
    phone.calls.push(name);
    Promise.resolve().then(work).then(
      (result) => options.success && options.success(Object.assign({ errMsg: `${name}:ok` }, result)),
      (error) => options.fail && options.fail({ errMsg: `${name}:fail ${error.message}` }),
    );
  };
  /** @param {Call} call */
  const reach = (call) => {
    if (!phone.online) throw new Error('net::ERR_INTERNET_DISCONNECTED');
    return gateway.answer(call.data ? Object.assign({}, call, { data: JSON.parse(JSON.stringify(call.data)) }) : call);
  };
  /** @param {string} url */
  const pathIn = (url) => {
    if (!url.startsWith(base)) throw new Error(`left the gateway: ${url}`);
    return url.slice(base.length);
  };
  const wx = {
    /** @param {string} key */
    getStorageSync: (key) => (storage.has(key) ? structuredClone(storage.get(key)) : ''),
    /** @param {string} key @param {any} value */
    setStorageSync: (key, value) => { storage.set(key, structuredClone(value)); },
    /** @param {string} key */
    removeStorageSync: (key) => { storage.delete(key); },
    /** @param {any} o */
    login: (o) => run('login', o, () => ({ code: phone.code() })),
    /** @param {any} o */
    checkSession: (o) => run('checkSession', o, () => { if (!phone.sessionFresh) throw new Error('session expired'); }),
    /** @param {any} o */
    request: (o) => run('request', o, () => reach({ method: o.method, path: pathIn(o.url), header: o.header, data: o.data })),
    /** @param {any} o */
    uploadFile: (o) => run('uploadFile', o, async () => {
      const reply = await reach({ method: 'POST', path: pathIn(o.url), header: o.header, file: o.filePath });
      return { statusCode: reply.statusCode, data: JSON.stringify(reply.data) };
    }),
    /** @param {any} o */
    downloadFile: (o) => run('downloadFile', o, async () => {
      const reply = await reach({ method: 'GET', path: pathIn(o.url), header: o.header });
      return { statusCode: reply.statusCode, tempFilePath: 'wxfile://tmp_1' };
    }),
    /** @param {any} o */
    connectSocket: (o) => ({ opened: o }),
    cloud: {
      /** @param {any} o */
      callContainer: (o) => run('callContainer', o, () => reach({ method: o.method, path: o.path, header: o.header, data: o.data })),
      /** @param {any} o */
      callFunction: (o) => run('callFunction', o, async () => {
        const reply = await reach({ method: o.data.method, path: o.data.path, header: o.data.headers, data: o.data.data });
        return { result: { statusCode: reply.statusCode, headers: reply.header, data: reply.data } };
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
