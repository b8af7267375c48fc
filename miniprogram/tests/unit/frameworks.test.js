// Taro and uni-app in the place of wx: their functions return what wx's do not. The real ones play in tests/frameworks.
const assert = require('node:assert/strict');
const { afterEach, test } = require('node:test');
const { refusal, startApp } = require('./phone');

/** @type {any[]} */
const unhandled = [];
process.on('unhandledRejection', (error) => unhandled.push(error));
afterEach(async () => {
  await new Promise((resolve) => { setTimeout(resolve, 5); });
  assert.deepEqual(unhandled.splice(0), []);
});

const withCallbacks = ['request', 'uploadFile', 'downloadFile', 'login', 'checkSession'];

/** Calls the callbacks, and settles a promise beside, with the task's functions on it. @param {any} wx */
function taroOf(wx) {
  const taro = Object.assign({}, wx);
  for (const name of withCallbacks) {
    taro[name] = (/** @type {any} */ options) => {
      let task;
      const promise = new Promise((resolve, reject) => {
        task = wx[name](Object.assign({}, options, {
          success: (/** @type {any} */ result) => { options.success(result); resolve(result); },
          fail: (/** @type {any} */ error) => { options.fail(error); reject(error); },
        }));
      });
      return Object.assign(promise, task);
    };
  }
  taro.connectSocket = async (/** @type {any} */ options) => wx.connectSocket(options);
  return taro;
}

/** Returns a task to who passes a callback, a promise to who does not. @param {any} wx */
function uniOf(wx) {
  const connectSocket = (/** @type {any} */ options) => (options.success || options.fail || options.complete ? wx.connectSocket(options) : Promise.resolve({ errMsg: 'connectSocket:ok' }));
  return Object.assign({}, wx, { connectSocket });
}

/** What becomes of wx.login in a browser: Taro's development build, its production build, and uni-app. @type {Record<string, any>} */
const LOGINS = {
  'taro (development)': (/** @type {any} */ options) => {
    options.fail({ errMsg: '暂时不支持 API' });
    return Promise.reject(new Error('暂时不支持 API'));
  },
  'taro (production)': async (/** @type {any} */ options) => options.success({ errMsg: '暂时不支持 API' }),
  'uni-app': (/** @type {any} */ options) => options.fail({ errMsg: 'login:fail method \'uni.login\' not supported' }),
  nothing: undefined,
};

/** @param {any} api @param {any} login */
const inBrowser = (api, login) => Object.assign({}, api, { login, checkSession: login, getFileSystemManager: undefined });

/** An app whose only way is `api`: there is no wx. @param {(wx: any) => any} of */
function startWith(of, options = {}) {
  const app = startApp();
  Reflect.deleteProperty(globalThis, 'wx');
  app.client.configure(Object.assign({ api: of(app.wx) }, options));
  return app;
}

for (const [name, of] of Object.entries({ taro: taroOf, uni: uniOf })) {
  test(`${name}: login, calls, files, one refresh after a 401, and logout`, async () => {
    const { gateway, phone, client } = startWith(of);
    await client.wechatLogin({ nickName: '小厨' });
    assert.equal(phone.storage.get('access_token'), 'token-1');
    gateway.live.clear();
    await Promise.all([client.request({ url: '/api/v1/x' }), client.request({ url: '/api/v1/y' })]);
    assert.deepEqual([gateway.count('/api/v1/auth/refresh'), client.getLocalToken()], [1, 'token-2']);
    assert.equal((await client.upload({ url: '/api/v1/uploads', filePath: 'wxfile://a' })).data.data.url, 'https://cdn.example/a.png');
    assert.equal((await client.download({ url: '/api/v1/file' })).tempFilePath, 'wxfile://tmp_1');
    assert.equal(await client.logout(), true);
    assert.equal(phone.storage.size, 0);
  });

  test(`${name}: a call that fails rejects once, with what WeChat said`, async () => {
    const { phone, client } = startWith(of);
    phone.online = false;
    await assert.rejects(client.request({ url: '/api/v1/x' }), { reason: 'network', errMsg: 'request:fail net::ERR_INTERNET_DISCONNECTED' });
    await assert.rejects(client.upload({ url: '/api/v1/uploads', filePath: 'wxfile://a' }), { reason: 'network' });
  });

  test(`${name}: a task can be aborted`, async () => {
    const { gateway, client } = startWith(of);
    gateway.before = () => new Promise(() => {});
    await assert.rejects(client.request({ url: '/api/v1/chat', onTask: (task) => task.abort() }), { reason: 'aborted' });
  });

  test(`${name}: a socket is the task, with the token in its header`, async () => {
    const { client } = startWith(of);
    await client.wechatLogin();
    const { opened } = /** @type {any} */ (await client.connectSocket({ url: '/live' }));
    assert.deepEqual([opened.url, opened.header], ['wss://gw.example/live', { Authorization: 'Bearer token-1' }]);
  });
}

for (const [name, login] of Object.entries(LOGINS)) {
  test(`${name} in a browser: a code that was handed over logs in, and wx.login is never called`, async () => {
    const { gateway, phone, client } = startWith((wx) => inBrowser(uniOf(wx), login));
    const { user } = await client.wechatLogin({ code: 'handed-over' });
    assert.deepEqual([user.id, gateway.calls[0].data.code, phone.calls], [1, 'handed-over', ['request']]);
    assert.equal((await client.request({ url: '/api/v1/x' })).statusCode, 200);
  });

  test(`${name} in a browser: a session that is over is a 401 and forgotten, and logging in says that it cannot`, async () => {
    const { gateway, phone, client } = startWith((wx) => inBrowser(uniOf(wx), login));
    await client.wechatLogin({ code: 'handed-over' });
    gateway.live.clear();
    gateway.before = (call) => (call.path === '/api/v1/auth/refresh' ? refusal(401, 'token_revoked') : undefined);
    await assert.rejects(client.request({ url: '/api/v1/x' }), { code: 401, reason: 'token_expired' });
    assert.deepEqual([client.getLocalToken(), phone.storage.size], ['', 0]);
    await assert.rejects(client.wechatLogin(), { code: 0, reason: 'unsupported', message: '当前环境不支持此操作' });
  });
}

test('in a browser sealed data cannot be opened, and the session lives on', async () => {
  for (const login of Object.values(LOGINS)) {
    const { client } = startWith((wx) => inBrowser(uniOf(wx), login));
    await client.wechatLogin({ code: 'handed-over' });
    await assert.rejects(client.decrypt(async () => ({})), { reason: 'unsupported' });
    assert.equal(client.getLocalToken(), 'token-1');
  }
});

test('through the cloud the functions of the framework are called, and a browser has no cloud', async () => {
  for (const [transport, called] of Object.entries({ container: 'callContainer', function: 'callFunction' })) {
    const cloud = /** @type {any} */ ({ transport, env: 'prod-1', service: 'wxgate' });
    const { phone, client } = startWith(uniOf, cloud);
    assert.equal((await client.request({ url: '/api/v1/public' })).statusCode, 200);
    assert.deepEqual(phone.calls, [called]);
    const browser = startWith((wx) => Object.assign(uniOf(wx), { cloud: undefined }), cloud);
    await assert.rejects(browser.client.request({ url: '/api/v1/public' }), { reason: 'unsupported' });
  }
});

test('the timeout of Taro in a browser, which aborts a fetch, is a timeout', async () => {
  const { client } = startWith((wx) => Object.assign({}, wx, {
    request: (/** @type {any} */ options) => options.fail(Object.assign(new Error('signal is aborted without reason'), { name: 'AbortError' })),
  }));
  await assert.rejects(client.request({ url: '/api/v1/x' }), { code: 0, reason: 'timeout' });
});

test('who forgot to say which framework it is reads so', async () => {
  const { client } = startWith(() => undefined);
  await assert.rejects(client.wechatLogin(), { code: 0, reason: 'config', message: /configure\(\{ api/ });
});

test('who passes what a compiler has shaken most functions out of, for H5, reads what to write', () => {
  assert.throws(() => startWith(() => ({ getEnv: () => 'WEB' })), { code: 0, reason: 'config', message: /request: Taro\.request/ });
});
