// What the library does not own goes through it, on every way; what it owns, nobody else decides.
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { test } = require('node:test');
const { without } = require('../../utils/transport');
const { held, refusal, startApp } = require('./phone');

/** @param {string} name @returns {any} */
const way = (name) => ({ transport: name, env: 'prod-1', service: 'wxgate' });
/** @param {any} promise @returns {Promise<any>} */
const failureOf = (promise) => promise.then(() => { throw new Error('it succeeded'); }, (/** @type {any} */ error) => error);

const TIMEOUTS = {
  'iOS in Chinese': { errMsg: 'request:fail 请求超时。' },
  'iOS in traditional Chinese': { errMsg: 'request:fail 要求逾時。' },
  'iOS in English': { errMsg: 'request:fail The request timed out.' },
  'iOS, by its number': { errMsg: 'request:fail 未能完成操作。（kCFErrorDomainCFNetwork错误-1001。）' },
  cronet: { errMsg: 'request:fail errcode:-118 cronet_error_code:-118 error_msg:net::ERR_CONNECTION_TIMED_OUT', errno: 600001 },
  'cronet, the other one': { errMsg: 'request:fail errcode:-7 cronet_error_code:-7 error_msg:net::ERR_TIMED_OUT', errno: 600001 },
  'cronet without words': { errMsg: 'request:fail errcode:-118 cronet_error_code:-118' },
  'errno 5': { errMsg: 'request:fail', errno: 5 },
  'errno 5 with words': { errMsg: 'request:fail timeout', errno: 5 },
  'an older Android': { errMsg: 'request:fail socket time out :3000' },
  socket: { errMsg: 'request:fail Timer Expired' },
  callContainer: { errMsg: 'cloud.callContainer:fail Error: errCode: 102002', errCode: 102002 },
  callFunction: { errMsg: 'cloud.callFunction:fail Error: errCode: -504003 | errMsg: Invoking task timed out after 3 seconds', errCode: -504003 },
};
for (const [name, failure] of Object.entries(TIMEOUTS)) {
  test(`a timeout is a timeout: ${name}`, async () => {
    const { phone, client } = startApp();
    phone.failure = failure;
    const error = await failureOf(client.request({ url: '/api/v1/public' }));
    assert.deepEqual([error.code, error.status, error.reason, error.errMsg], [0, 0, 'timeout', failure.errMsg]);
  });
}

test('what is no timeout is the network, and its number is kept', async () => {
  for (const failure of [
    { errMsg: 'request:fail errcode:-105 cronet_error_code:-105 error_msg:net::ERR_NAME_NOT_RESOLVED', errno: 600001 },
    { errMsg: 'request:fail url not in domain list', errno: 600002 }, { errMsg: 'request:fail interrupted', errno: 600003 },
    { errMsg: 'request:fail 似乎已断开与互联网的连接。', errno: 600001 }, { errMsg: 'request:fail errcode:-1005 cronet_error_code:-1005', errno: 600001 },
    { errMsg: 'request:fail errcode:-102 cronet_error_code:-102 error_msg:net::ERR_CONNECTION_REFUSED', errno: 600001 },
  ]) {
    const { phone, client } = startApp();
    phone.failure = failure;
    const error = await failureOf(client.request({ url: '/api/v1/public' }));
    assert.deepEqual([error.reason, error.errMsg, error.errno], ['network', failure.errMsg, failure.errno]);
  }
});

const OPTIONS = {
  responseType: 'text', dataType: 'json', enableHttp2: true, enableQuic: true, enableCache: true, enableChunked: true, enableHttpDNS: true, httpDNSServiceId: 'x',
  useHighPerformanceMode: true, forceCellularNetwork: true, redirect: 'manual', enableProfile: false, ofNextYear: { a: 1 },
};

test('options of wx.request arrive at wx.request, those of next year too, and a replay has them again', async () => {
  const { gateway, phone, client } = startApp();
  await client.wechatLogin();
  gateway.live.clear();
  const url = 'https://gw.example/api/v1/x';
  await client.request(/** @type {any} */ ({ url: '/api/v1/x', method: 'post', data: 'text', timeout: 777, header: { 'X-Mine': '1' }, ...OPTIONS }));
  const sent = phone.given.filter((options) => options.url === url);
  assert.equal(sent.length, 2);
  sent.forEach((given, i) => assert.deepEqual(without(given, ['success', 'fail']), {
    url, method: 'POST', data: 'text', timeout: 777, header: { 'X-Mine': '1', Authorization: `Bearer token-${i + 1}` }, ...OPTIONS,
  }));
});

test('options of callContainer arrive at it, and the service is ours to name', async () => {
  const { phone, client } = startApp(way('container'));
  await client.request(/** @type {any} */ ({ url: '/api/v1/public', followRedirect: false, verbose: true, responseType: 'text', header: { 'x-wx-service': 'other', 'X-WX-EXCLUDE-CREDENTIALS': 'unionid' } }));
  const [{ path, method, header, followRedirect, verbose, responseType }] = phone.given;
  assert.deepEqual({ path, method, header, followRedirect, verbose, responseType }, {
    path: '/api/v1/public', method: 'GET', header: { 'X-WX-SERVICE': 'wxgate', 'X-WX-EXCLUDE-CREDENTIALS': 'unionid' }, followRedirect: false, verbose: true, responseType: 'text',
  });
});

test('options of uploadFile, downloadFile and connectSocket arrive, and headers beside ours', async () => {
  const { phone, client } = startApp();
  await client.wechatLogin();
  const header = { 'X-Mine': '1', authorization: 'Bearer forged' };
  const want = { 'X-Mine': '1', Authorization: 'Bearer token-1' };
  await client.upload({ url: '/api/v1/uploads', filePath: 'wxfile://a', name: 'photo', formData: { a: 1 }, enableHttp2: true, timeout: 5, header });
  const upload = without(phone.given[phone.given.length - 1], ['success', 'fail']);
  assert.deepEqual(upload, { url: 'https://gw.example/api/v1/uploads', filePath: 'wxfile://a', name: 'photo', formData: { a: 1 }, enableHttp2: true, timeout: 5, header: want });
  await client.download({ url: '/api/v1/file', filePath: 'wxfile://mine', useHighPerformanceMode: true, header });
  const download = phone.given[phone.given.length - 1];
  assert.deepEqual([download.filePath, download.useHighPerformanceMode, download.header], ['wxfile://mine', true, want]);
  const { opened } = /** @type {any} */ (await client.connectSocket({ url: '/live', protocols: ['v1'], tcpNoDelay: true, perMessageDeflate: true, header }));
  assert.deepEqual(without(opened, ['complete']), { url: 'wss://gw.example/live', protocols: ['v1'], tcpNoDelay: true, perMessageDeflate: true, header: want });
});

test('Authorization is ours alone, however it is written, and a guest sends none', async () => {
  for (const name of ['request', 'container', 'function']) {
    const { gateway, client } = startApp(way(name));
    const header = { authorization: 'Basic eA==', AUTHORIZATION: 'Bearer other', 'x-mine': '1' };
    await client.request({ url: '/api/v1/public', header });
    await client.wechatLogin();
    await client.request({ url: '/api/v1/x', header, method: 'PATCH', data: {} });
    const [guest, , user] = gateway.calls.map((call) => Object.entries(call.header).filter(([field]) => field.toLowerCase() === 'authorization'));
    assert.deepEqual([guest, user, gateway.calls[2].header['x-mine']], [[], [['Authorization', 'Bearer token-1']], '1'], name);
  }
});

test('PATCH is said once, whatever the caller says beside', async () => {
  const { gateway, client } = startApp();
  await client.request({ url: '/api/v1/public', method: 'patch', header: { 'x-http-method-override': 'DELETE' }, data: {} });
  const [{ method, header }] = gateway.calls;
  assert.deepEqual([method, Object.entries(header)], ['POST', [['X-HTTP-Method-Override', 'PATCH']]]);
});

test('an ArrayBuffer is sent as it is by wx.request and callContainer', async () => {
  for (const name of ['request', 'container']) {
    const { gateway, client } = startApp(way(name));
    const data = new Uint8Array([0, 255, 137]).buffer;
    await client.request({ url: '/api/v1/public', method: 'POST', data });
    await client.request({ url: '/api/v1/public', data });
    assert.deepEqual([gateway.calls[0].data === data, gateway.calls[1].data === data, gateway.calls[1].path], [true, true, '/api/v1/public'], name);
  }
});

test('through the cloud function bytes travel as base64, both ways, and it is told what was asked for', async () => {
  const { gateway, phone, client } = startApp(way('function'));
  gateway.before = () => /** @type {any} */ ({ statusCode: 200, data: 'AP+J', isBase64Encoded: true });
  const answer = await client.request({ url: '/api/v1/public', method: 'POST', data: new Uint8Array([1, 2, 255]).buffer, responseType: 'arraybuffer', header: { 'Content-Type': 'image/png' } });
  const { name, config, data: event } = phone.given[0];
  assert.deepEqual({ name, config, event }, { name: 'api-proxy', config: { env: 'prod-1' }, event: {
    method: 'POST', path: '/api/v1/public', headers: { 'Content-Type': 'image/png' }, dataType: undefined, responseType: 'arraybuffer', body: 'AQL/', isBase64Encoded: true,
  } });
  assert.ok(answer.data instanceof ArrayBuffer);
  assert.deepEqual([...new Uint8Array(answer.data)], [0, 255, 137]);
  assert.deepEqual(Object.keys(answer).sort(), ['data', 'header', 'statusCode']);
});

test('what else WeChat says of an answer is kept', async () => {
  const { gateway, client } = startApp();
  gateway.before = () => /** @type {any} */ ({ statusCode: 200, data: {}, cookies: ['a=1'], profile: { rtt: 3 } });
  const { cookies, ...rest } = await client.request({ url: '/api/v1/public' });
  assert.deepEqual([cookies, Object(rest).profile], [['a=1'], { rtt: 3 }]);
});

test('the query of a GET: what is there, in the caller\'s order, and nothing of what is undefined', async () => {
  for (const [data, want] of /** @type {[any, string][]} */ ([
    [{ q: '豆 腐', page: 1 }, '?q=%E8%B1%86%20%E8%85%90&page=1'], [{ none: undefined }, ''], [{}, ''], [{ zero: 0, no: false, empty: '' }, '?zero=0&no=false&empty='],
    [{ ids: [1, 2] }, '?ids=1%2C2'], [{ filter: { a: 1 } }, '?filter=%7B%22a%22%3A1%7D'], [{ 'a&b': '=' }, '?a%26b=%3D'],
  ])) {
    const { gateway, client } = startApp();
    await client.request({ url: '/api/v1/public', method: 'get', data });
    assert.deepEqual([gateway.calls[0].path, gateway.calls[0].data], [`/api/v1/public${want}`, undefined]);
    await client.request({ url: '/api/v1/public?x=1', data });
    assert.equal(gateway.calls[1].path, `/api/v1/public?x=1${want.replace('?', '&')}`);
  }
});

for (const baseUrl of ['https://gw.example/', 'https://gw.example//', 'https://gw.example']) {
  test(`the base URL may end with a slash: ${baseUrl}`, async () => {
    const { gateway, client } = startApp({ baseUrl });
    await client.wechatLogin({ avatarUrl: 'http://tmp/a.png' });
    await client.request({ url: 'https://gw.example/api/v1/x' });
    assert.deepEqual(gateway.calls.map(({ path }) => path), ['/api/v1/auth/wx-login', '/api/v1/uploads', '/api/v1/user/profile', '/api/v1/x']);
    const { opened } = /** @type {any} */ (await client.connectSocket({ url: '/live' }));
    assert.equal(opened.url, 'wss://gw.example/live');
  });
}

test('whoever wrote the slash before is still logged in', async () => {
  const { client, wx } = startApp();
  await client.wechatLogin();
  wx.setStorageSync('access_token_life', { ...wx.getStorageSync('access_token_life'), from: 'https://gw.example/' });
  assert.equal(client.getLocalToken(), 'token-1');
});

test('files and sockets without a baseUrl say what is missing', async () => {
  const { client } = startApp({ ...way('container'), baseUrl: '' });
  for (const call of [client.upload({ url: '/a', filePath: 'x' }), client.download({ url: '/a' }), client.connectSocket({ url: '/a' })]) {
    await assert.rejects(call, { reason: 'config', message: '没有配置 baseUrl' });
  }
});

test('success, fail and complete are called once, when all is over, with what the promise gives', async () => {
  const { gateway, client } = startApp();
  await client.wechatLogin();
  gateway.live.clear(); // so that there is a 401 on the way, which nobody is told of
  /** @type {any[]} */
  const told = [];
  const listeners = () => Object.fromEntries(['success', 'fail', 'complete'].map((name) => [name, (/** @type {any} */ value) => told.push([name, value])]));
  const answer = await client.request({ url: '/api/v1/x', ...listeners() });
  assert.deepEqual(told, [['success', answer], ['complete', answer]]);
  for (const call of [
    () => client.request({ url: '/api/v1/y', ...listeners() }), () => client.upload({ url: '/api/v1/y', filePath: 'x', ...listeners() }),
    () => client.download({ url: '/api/v1/y', ...listeners() }), () => client.request({ url: 'https://elsewhere.example', ...listeners() }),
  ]) {
    told.length = 0;
    gateway.before = (request) => (request.path === '/api/v1/y' ? refusal(404, 'no_route') : undefined);
    const error = await failureOf(call());
    assert.deepEqual(told, [['fail', error], ['complete', error]]);
  }
});

test('whoever gives callbacks and drops the promise leaves no unhandled rejection', async (t) => {
  const { phone, client } = startApp();
  phone.online = false;
  /** @type {unknown[]} */
  const unhandled = [];
  const listener = (/** @type {unknown} */ reason) => unhandled.push(reason);
  process.on('unhandledRejection', listener);
  t.after(() => process.off('unhandledRejection', listener));
  await new Promise((resolve) => { client.request({ url: '/api/v1/public', complete: resolve }); });
  await new Promise((resolve) => { setTimeout(resolve); });
  assert.deepEqual(unhandled, []);
});

test('whoever gives none and drops the promise is told of the failure by the runtime', () => {
  const story = "const { phone, client } = require('./phone').startApp(); phone.online = false; client.request({ url: '/api/v1/public' });";
  const { status, stderr } = spawnSync(process.execPath, ['-e', story], { cwd: __dirname, encoding: 'utf8' });
  assert.equal(status, 1);
  assert.match(stderr, /GatewayError/);
});

test('a request, an upload and a download can be aborted, which is no fault of the network and is not sent again', async () => {
  for (const name of ['request', 'upload', 'download']) {
    const { gateway, client } = startApp();
    await client.wechatLogin();
    gateway.before = (call) => (call.path === '/api/v1/slow' ? held().promise : undefined);
    /** @type {any[]} */
    const tasks = [];
    const call = /** @type {any} */ (client)[name]({ url: '/api/v1/slow', filePath: 'x', onTask: (/** @type {any} */ task) => tasks.push(task) });
    await new Promise((resolve) => { setTimeout(resolve, 5); });
    tasks[0].abort();
    await assert.rejects(call, { code: 0, reason: 'aborted' }, name);
    assert.deepEqual([tasks.length, gateway.count('/api/v1/slow'), client.getLocalToken()], [1, 1, 'token-1'], name);
  }
});

test('a form finds its field errors in what the service answered', async () => {
  const body = { errors: { title: '太短' } };
  for (const name of ['request', 'container', 'function']) {
    const { gateway, client } = startApp(way(name));
    gateway.before = () => ({ statusCode: 422, data: body, header: { 'X-Request-Id': 'r7', 'Retry-After': '3' } });
    const error = await failureOf(client.request({ url: '/api/v1/public', method: 'POST', data: {} }));
    assert.deepEqual([error.status, error.code, error.reason, error.requestId, error.body, error.header['retry-after']], [422, 422, 'http', 'r7', body, '3'], name);
  }
});

test('what a service answered is parsed although bytes or text were asked for, and is kept as it is when it is no JSON', async () => {
  const json = { reason: 'too_short', message: '太短', errors: { title: '太短' } };
  const bytes = (/** @type {string} */ text) => new Uint8Array(Buffer.from(text)).buffer;
  for (const data of [json, JSON.stringify(json), bytes(JSON.stringify(json))]) {
    const { gateway, client } = startApp();
    gateway.before = () => ({ statusCode: 422, data });
    const error = await failureOf(client.request({ url: '/api/v1/public', responseType: 'arraybuffer' }));
    assert.deepEqual([error.reason, error.message, error.body], ['too_short', '太短', json]);
  }
  for (const data of ['<html>', '', undefined, bytes('\xff'), new ArrayBuffer(70000)]) {
    const { gateway, client } = startApp();
    gateway.before = () => ({ statusCode: 500, data });
    const error = await failureOf(client.request({ url: '/api/v1/public' }));
    assert.deepEqual([error.reason, error.message], ['http', '服务异常，请稍后再试']);
    assert.equal(error.body, data);
  }
});

test('the messages of a validator are one message, and what is no text is none', async () => {
  for (const [message, want] of /** @type {[any, string][]} */ ([[['标题太短', '步骤太少'], '标题太短；步骤太少'], [{ a: 1 }, '服务异常，请稍后再试'], [7, '服务异常，请稍后再试']])) {
    const { gateway, client } = startApp();
    gateway.before = () => ({ statusCode: 400, data: { message, reason: { a: 1 } } });
    const error = await failureOf(client.request({ url: '/api/v1/public' }));
    assert.deepEqual([error.message, error.reason, error.body.message], [want, 'http', message]);
  }
});

test('a refused upload and a refused download tell why, although it is text in one and in a file in the other', async () => {
  const { gateway, client } = startApp();
  await client.wechatLogin();
  gateway.before = () => ({ statusCode: 413, data: { reason: 'body_too_large', message: '图片太大', errors: { file: '2 MB' } } });
  for (const call of [client.upload({ url: '/api/v1/uploads', filePath: 'x' }), client.download({ url: '/api/v1/file' })]) {
    const error = await failureOf(call);
    assert.deepEqual([error.status, error.reason, error.message, error.body.errors], [413, 'body_too_large', '图片太大', { file: '2 MB' }]);
  }
});

test('a login is not lost to a storage that is full: it lasts until the mini-program ends', async () => {
  const { gateway, phone, client } = startApp();
  phone.storageIsFull = true;
  const { access_token: token } = await client.wechatLogin({ nickName: '小厨' });
  assert.deepEqual([token, client.getLocalToken(), (client.getLocalUserInfo() || { nickname: '' }).nickname], ['token-1', 'token-1', '小厨']);
  assert.equal((await client.request({ url: '/api/v1/x' })).statusCode, 200);
  gateway.live.clear();
  assert.equal((await client.request({ url: '/api/v1/x' })).statusCode, 200);
  assert.deepEqual([client.getLocalToken(), gateway.count('/api/v1/auth/wx-login')], ['token-2', 1]);
  await client.logout();
  assert.deepEqual([client.getLocalToken(), client.getLocalUserInfo()], ['', null]);
  phone.storageIsFull = false;
  await client.wechatLogin();
  assert.deepEqual([phone.storage.get('access_token'), client.getLocalToken()], ['token-3', 'token-3']);
});

test('what an older page writes into the storage counts, and what it removes is gone', async () => {
  const { client, wx } = startApp();
  await client.wechatLogin();
  wx.setStorageSync('access_token', 'older');
  assert.equal(client.getLocalToken(), 'older');
  wx.removeStorageSync('access_token');
  assert.equal(client.getLocalToken(), '');
});

test('a storage that is full half-way leaves no older token beside the name of another gateway', async () => {
  const { phone, client, wx } = startApp();
  await client.wechatLogin();
  const whole = wx.setStorageSync;
  wx.setStorageSync = (key, value) => {
    if (key === 'access_token') throw new Error('setStorageSync:fail');
    whole(key, value);
  };
  await client.refreshToken();
  assert.deepEqual([client.getLocalToken(), phone.storage.has('access_token')], ['token-2', false]);
});

test('a token that the phone will not delete is forgotten all the same', async () => {
  const { client, wx } = startApp();
  await client.wechatLogin();
  wx.removeStorageSync = () => { throw new Error('removeStorageSync:fail'); };
  await client.logout();
  assert.equal(client.getLocalToken(), '');
});
