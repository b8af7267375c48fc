const assert = require('node:assert/strict');
const { test } = require('node:test');
const { refusal, startApp } = require('./phone');

const LOGIN = '/api/v1/auth/wx-login';
const PROFILE = '/api/v1/user/profile';

/** @param {string} name @returns {import('../../utils/transport').Options} */
const way = (name) => ({ transport: /** @type {any} */ (name), env: 'prod-1', service: 'wxgate' });
const ways = { request: 'request', container: 'callContainer', function: 'callFunction' };

for (const [name, api] of Object.entries(ways)) {
  test(`${name}: one shape of answers and errors`, async () => {
    const { gateway, phone, client } = startApp(way(name));
    await client.wechatLogin();
    const answer = await client.request({ url: '/api/v1/x', data: { q: '豆 腐', none: undefined } });
    assert.deepEqual(Object.keys(answer).sort(), ['data', 'header', 'statusCode']);
    assert.equal(answer.header['x-request-id'], 'r1');
    assert.equal(gateway.calls[1].path, '/api/v1/x?q=%E8%B1%86%20%E8%85%90');
    assert.ok(phone.calls.includes(api));
    gateway.before = () => refusal(404, 'no_route');
    await assert.rejects(client.request({ url: '/api/v1/y' }), { name: 'GatewayError', code: 404, reason: 'no_route', requestId: 'r1' });
    phone.online = false;
    await assert.rejects(client.request({ url: '/api/v1/y' }), { name: 'GatewayError', code: 0, reason: 'network' });
  });

  test(`${name}: PATCH travels as POST with X-HTTP-Method-Override`, async () => {
    const { gateway, client } = startApp(way(name));
    await client.request({ url: '/api/v1/public', method: 'PATCH', data: { a: 1 } });
    const [call] = gateway.calls;
    assert.deepEqual([call.method, call.header['X-HTTP-Method-Override'], call.data], ['POST', 'PATCH', { a: 1 }]);
  });
}

test('container: the service is named', async () => {
  const { gateway, client } = startApp(way('container'));
  await client.request({ url: '/api/v1/public' });
  assert.equal(gateway.calls[0].header['X-WX-SERVICE'], 'wxgate');
});

test('a cloud function that returned nothing is no answer', async () => {
  const { client, wx } = startApp(way('function'));
  for (const result of [null, {}, { errMsg: 'ok' }]) {
    wx.cloud.callFunction = (o) => o.success({ result });
    await assert.rejects(client.request({ url: '/api/v1/public' }), { code: 0 });
  }
});

test('cloudLogin needs no code of wx.login', async () => {
  const { gateway, phone, client } = startApp(Object.assign(way('container'), { cloudLogin: true }));
  await client.wechatLogin({ nickName: '小厨' });
  assert.equal(gateway.calls[0].path, '/api/v1/auth/cloud-login');
  assert.ok(!phone.calls.includes('login'));
});

test('a page of HTML instead of an answer is an error, not a login', async () => {
  const { gateway, client } = startApp();
  gateway.before = () => ({ statusCode: 200, data: '<html>log in to this Wi-Fi</html>' });
  await assert.rejects(client.wechatLogin(), { name: 'GatewayError' });
  assert.equal(client.getLocalToken(), '');
});

test('a token goes to paths of the gateway only', async () => {
  const { gateway, phone, client } = startApp();
  await client.wechatLogin();
  for (const url of ['https://evil.example/x', '//evil.example/x', '/\\evil.example', 'x', 'https://gw.example.evil/x']) {
    await assert.rejects(client.request({ url }), { reason: 'config' }, url);
    await assert.rejects(client.download({ url }), { reason: 'config' }, url);
  }
  assert.equal((await client.request({ url: 'https://gw.example/api/v1/x' })).statusCode, 200);
  assert.equal(gateway.calls.length, 2);
  assert.ok(!phone.calls.includes('downloadFile'));
});

test('a temporary avatar: log in, upload, then save the returned URL', async () => {
  for (const avatarUrl of ['http://tmp/a.png', 'wxfile://tmp_a.png', 'http://127.0.0.1:9973/__tmp__/a.png']) {
    const { gateway, client } = startApp();
    const { user } = await client.wechatLogin({ nickName: '小厨', avatarUrl });
    const [login, upload, save] = gateway.calls;
    assert.deepEqual([login.path, login.data], [LOGIN, { code: 'code-1', nickName: '小厨' }]);
    assert.deepEqual([upload.path, upload.file, upload.header.Authorization], ['/api/v1/uploads', avatarUrl, 'Bearer token-1']);
    assert.deepEqual([save.method, save.path, save.data], ['PUT', PROFILE, { avatar: 'https://cdn.example/a.png' }]);
    assert.equal(user.avatar, 'https://cdn.example/a.png');
  }
});

test('when only the avatar fails, the login stands', async () => {
  const { gateway, client } = startApp();
  gateway.before = (call) => (call.file ? refusal(413, 'body_too_large') : undefined);
  const login = await client.wechatLogin({ avatarUrl: 'http://tmp/a.png' });
  assert.equal(login.avatarError && login.avatarError.reason, 'body_too_large');
  assert.equal(client.getLocalToken(), 'token-1');
});

test('an upload whose answer names no address is told, and saves nothing', async () => {
  for (const data of [{ url: 'https://cdn.example/a.png' }, { code: 200, data: {} }, '<html>']) {
    const { gateway, client } = startApp();
    gateway.before = (call) => (call.file ? { statusCode: 200, data } : undefined);
    const login = await client.wechatLogin({ avatarUrl: 'http://tmp/a.png' });
    assert.deepEqual([login.avatarError && login.avatarError.name, login.avatarError && login.avatarError.reason], ['GatewayError', 'http']);
    assert.equal(gateway.count(PROFILE), 0);
  }
});

test('an https avatar of an old base library goes with the login', async () => {
  const { gateway, client } = startApp();
  await client.wechatLogin({ nickName: '小厨', avatarUrl: 'https://thirdwx.qlogo.cn/a' });
  assert.deepEqual(gateway.calls.map((call) => call.data), [{ code: 'code-1', nickName: '小厨', avatarUrl: 'https://thirdwx.qlogo.cn/a' }]);
});

test('an upload meets 401 as a request does', async () => {
  const { gateway, client } = startApp();
  await client.wechatLogin();
  gateway.live.clear();
  const answer = await client.upload({ url: '/api/v1/uploads', filePath: 'wxfile://a' });
  assert.deepEqual([answer.data.data.url, gateway.count('/api/v1/auth/refresh')], ['https://cdn.example/a.png', 1]);
});

test('a download carries the token and gives the file', async () => {
  const { gateway, client } = startApp();
  await client.wechatLogin();
  assert.equal((await client.download({ url: '/api/v1/file' })).tempFilePath, 'wxfile://tmp_1');
  assert.equal(gateway.calls[1].header.Authorization, 'Bearer token-1');
});

test('a socket carries the token in its header, not in its address', async () => {
  const { client } = startApp();
  await client.wechatLogin();
  const { opened } = /** @type {any} */ (await client.connectSocket({ url: '/api/v1/live' }));
  assert.deepEqual([opened.url, opened.header], ['wss://gw.example/api/v1/live', { Authorization: 'Bearer token-1' }]);
});

test('user_info follows the profile', async () => {
  const { client } = startApp();
  await client.wechatLogin();
  await client.request({ url: PROFILE, method: 'PUT', data: { nickname: '大厨' } });
  assert.equal((client.getLocalUserInfo() || { nickname: '' }).nickname, '大厨');
});

test('an answer that is no profile does not replace user_info', async () => {
  const { gateway, client } = startApp();
  await client.wechatLogin({ nickName: '小厨' });
  for (const data of ['<html>', {}, null]) {
    gateway.before = () => ({ statusCode: 200, data });
    await client.request({ url: PROFILE }).catch(() => {});
    assert.equal((client.getLocalUserInfo() || { nickname: '' }).nickname, '小厨');
  }
});

test('what WeChat said of a call that failed can be read', async () => {
  for (const [name, api] of Object.entries(ways)) {
    const { phone, client } = startApp(way(name));
    phone.online = false;
    await assert.rejects(client.request({ url: '/api/v1/public' }), { reason: 'network', errMsg: `${api}:fail net::ERR_INTERNET_DISCONNECTED` });
  }
});

test('the phone is bound by the code of the button, without wx.login', async () => {
  const { gateway, phone, client } = startApp();
  await client.wechatLogin();
  const logins = phone.calls.filter((name) => name === 'login').length;
  await client.bindPhone({ code: 'p1', encryptedData: 'e', iv: 'i' });
  await client.bindPhone({ encryptedData: 'e', iv: 'i' });
  await assert.rejects(client.bindPhone({}), { reason: 'cancelled' });
  assert.deepEqual(gateway.calls.slice(1).map((call) => call.data), [{ code: 'p1' }, { encryptedData: 'e', iv: 'i' }]);
  assert.equal(phone.calls.filter((name) => name === 'login').length, logins);
});

test('wx.checkSession is called before decrypting and nowhere else', async () => {
  const { phone, client } = startApp();
  await client.wechatLogin({ avatarUrl: 'http://tmp/a.png' });
  await client.checkLoginStatus();
  await client.request({ url: '/api/v1/x' });
  await client.bindPhone({ code: 'p' });
  assert.ok(!phone.calls.includes('checkSession'));
  await client.decrypt({ encryptedData: 'e', iv: 'i' });
  assert.deepEqual(phone.calls.slice(-2), ['checkSession', 'request']);
});

test('a session_key that is gone is renewed before the data is fetched', async () => {
  const { gateway, phone, client } = startApp();
  await client.wechatLogin();
  phone.sessionFresh = false;
  let loginsThen = 0;
  await client.decrypt(async () => {
    loginsThen = gateway.count(LOGIN);
    return { encryptedData: 'e', iv: 'i' };
  });
  assert.equal(loginsThen, 2);
});

test('a stale session_key at the gateway is renewed once, when the data can be fetched anew', async () => {
  const { gateway, client } = startApp();
  await client.wechatLogin();
  gateway.before = (call) => (call.path === '/api/v1/auth/decrypt' ? refusal(409, 'session_key_stale') : undefined);
  let fetched = 0;
  const source = async () => ({ encryptedData: `e${++fetched}`, iv: 'i' });
  await assert.rejects(client.decrypt(source), { code: 409, reason: 'session_key_stale' });
  assert.deepEqual([fetched, gateway.count(LOGIN)], [2, 2]);
  await assert.rejects(client.decrypt({ encryptedData: 'e', iv: 'i' }), { code: 409 });
  assert.equal(gateway.count(LOGIN), 2);
});

test('decrypting logs in nobody who is not logged in', async () => {
  const { gateway, phone, client } = startApp();
  phone.sessionFresh = false;
  await assert.rejects(client.decrypt({ encryptedData: 'e', iv: 'i' }), { code: 401, reason: 'token_missing' });
  await client.wechatLogin();
  phone.sessionFresh = true;
  gateway.before = async (call) => {
    if (call.path !== '/api/v1/auth/decrypt') return undefined;
    await client.logout();
    return refusal(409, 'session_key_stale');
  };
  await assert.rejects(client.decrypt(async () => ({ encryptedData: 'e', iv: 'i' })), { code: 409 });
  assert.deepEqual([client.getLocalToken(), gateway.count(LOGIN)], ['', 1]);
});

test('the names that pages call are there', () => {
  const { client } = startApp();
  assert.deepEqual(Object.keys(client).sort(), [
    'GatewayError', 'bindPhone', 'checkLoginStatus', 'configure', 'connectSocket', 'decrypt', 'deleteAccount', 'download', 'exportAccount',
    'getLocalToken', 'getLocalUserInfo', 'logout', 'payVirtual', 'refreshToken', 'request', 'stream', 'upload', 'wechatLogin',
  ]);
});
