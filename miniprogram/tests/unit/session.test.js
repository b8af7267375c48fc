const assert = require('node:assert/strict');
const { test } = require('node:test');
const { LIFETIME, held, refusal, startApp, success } = require('./phone');

const LOGIN = '/api/v1/auth/wx-login';
const REFRESH = '/api/v1/auth/refresh';
const LOGOUT = '/api/v1/auth/logout';

/** @param {number} n @param {() => Promise<any>} work */
const together = (n, work) => Promise.all(Array.from({ length: n }, work));
const settled = () => new Promise((resolve) => { setTimeout(resolve, 5); });

async function loggedIn(options = {}) {
  const app = startApp(options);
  await app.client.wechatLogin();
  return app;
}

test('twenty logins at once are one wx.login and one exchange', async () => {
  const { gateway, phone, client } = startApp();
  const all = await together(20, () => client.wechatLogin());
  assert.equal(gateway.count(LOGIN), 1);
  assert.equal(phone.calls.filter((name) => name === 'login').length, 1);
  assert.ok(all.every((login) => login.access_token === 'token-1' && login.user.id === 1));
});

test('a login names its mini-program where there are several, silent ones too', async () => {
  for (const appId of ['wx0000000000000001', undefined]) {
    const { gateway, client } = await loggedIn({ appId });
    gateway.live.clear();
    gateway.refreshes = false;
    await client.request({ url: '/api/v1/x' });
    const logins = gateway.calls.filter(({ path }) => path === LOGIN);
    assert.deepEqual(logins.map(({ header }) => header['X-App-Id']), [appId, appId]);
  }
});

test('a login that failed does not stand in the way of the next', async () => {
  const { gateway, client } = startApp();
  gateway.before = () => refusal(401, 'wx_code_invalid');
  await assert.rejects(client.wechatLogin(), { code: 401, reason: 'wx_code_invalid', requestId: 'r1' });
  gateway.before = () => {};
  assert.equal((await client.wechatLogin()).access_token, 'token-1');
});

test('a request that meets a login under way waits for its token', async () => {
  const { gateway, client } = startApp();
  const [answer] = await Promise.all([(client.wechatLogin(), client.request({ url: '/api/v1/x' }))]);
  assert.equal(answer.statusCode, 200);
  assert.equal(gateway.count('/api/v1/x'), 1);
});

test('the profile of whoever joins a login is saved after it', async () => {
  const { gateway, client } = startApp();
  const [, joined] = await Promise.all([client.wechatLogin(), client.wechatLogin({ nickName: '小厨' })]);
  assert.equal(joined.user.nickname, '小厨');
  assert.equal(gateway.count(LOGIN), 1);
});

test('twenty 401 at once are one refresh, no login, and each request is replayed once', async () => {
  const { gateway, client } = await loggedIn();
  gateway.live.clear();
  const all = await together(20, () => client.request({ url: '/api/v1/x' }));
  assert.ok(all.every((answer) => answer.statusCode === 200));
  assert.deepEqual([gateway.count(REFRESH), gateway.count(LOGIN), gateway.count('/api/v1/x')], [1, 1, 40]);
});

test('when the refresh is refused, one silent login serves them all', async () => {
  const { gateway, client } = await loggedIn();
  gateway.live.clear();
  gateway.refreshes = false;
  const all = await together(20, () => client.request({ url: '/api/v1/x', method: 'POST', data: {} }));
  assert.ok(all.every((answer) => answer.statusCode === 200));
  assert.deepEqual([gateway.count(REFRESH), gateway.count(LOGIN), gateway.count('/api/v1/x')], [1, 2, 40]);
});

test('after the replay there is nothing more', async () => {
  const { gateway, client } = await loggedIn();
  gateway.refreshes = false;
  gateway.before = (call) => (call.path === '/api/v1/x' ? refusal(401, 'token_expired') : undefined);
  await assert.rejects(client.request({ url: '/api/v1/x' }), { code: 401 });
  assert.deepEqual([gateway.count(REFRESH), gateway.count(LOGIN), gateway.count('/api/v1/x')], [1, 2, 2]);
});

test('a late 401 about an older token renews nothing', async () => {
  const { gateway, client } = await loggedIn();
  const slow = held();
  gateway.live.clear();
  gateway.before = (call) => (call.path === '/slow' && call.header.Authorization === 'Bearer token-1' ? slow.promise : undefined);
  const late = client.request({ url: '/slow' });
  await client.request({ url: '/api/v1/x' });
  slow.release(refusal(401, 'token_expired'));
  assert.equal((await late).statusCode, 200);
  assert.equal(gateway.count(REFRESH), 1);
});

test('a refresh that lands after another login does not overwrite its token', async () => {
  const { gateway, client } = await loggedIn();
  const slow = held();
  gateway.before = (call) => (call.path === REFRESH ? slow.promise : undefined);
  const refreshing = client.refreshToken();
  await client.wechatLogin();
  slow.release(success({ access_token: 'stale', expires_in: 9 }));
  await refreshing;
  assert.equal(client.getLocalToken(), 'token-2');
});

test('a login that lands after logout() changes nothing', async () => {
  const { gateway, phone, client } = startApp();
  const slow = held();
  gateway.before = (call) => (call.path === LOGIN ? slow.promise : undefined);
  const login = client.wechatLogin();
  await settled();
  await client.logout();
  slow.release();
  await assert.rejects(login, { reason: 'logged_out' });
  assert.deepEqual([client.getLocalToken(), client.getLocalUserInfo(), phone.storage.size], ['', null, 0]);
});

test('a login after logout() is a new one, not the one that was under way', async () => {
  const { gateway, client } = startApp();
  const slow = held();
  gateway.before = (call) => (call.data.code === 'code-1' ? slow.promise : undefined);
  const first = client.wechatLogin();
  await settled();
  await client.logout();
  const second = client.wechatLogin();
  slow.release();
  await assert.rejects(first, { reason: 'logged_out' });
  assert.equal((await second).access_token, client.getLocalToken());
});

test('a refresh that lands during logout() changes nothing', async () => {
  const { gateway, client } = await loggedIn();
  const refresh = held();
  const logout = held();
  gateway.before = (call) => ({ [REFRESH]: refresh.promise, [LOGOUT]: logout.promise })[call.path];
  const refreshing = client.refreshToken();
  const leaving = client.logout();
  refresh.release();
  await refreshing;
  logout.release();
  await leaving;
  assert.equal(client.getLocalToken(), '');
});

test('a request that was refused after logout() is not replayed', async () => {
  const { gateway, client } = await loggedIn();
  const slow = held();
  gateway.before = (call) => (call.path === '/slow' ? slow.promise : undefined);
  const late = client.request({ url: '/slow' });
  await settled();
  await client.logout();
  slow.release(refusal(401, 'token_revoked'));
  await assert.rejects(late, { reason: 'token_revoked' });
  assert.deepEqual([gateway.count('/slow'), gateway.count(REFRESH), gateway.count(LOGIN)], [1, 0, 1]);
});

test('who never logged in, or logged out, is not logged in behind their back', async () => {
  const { gateway, client } = startApp();
  await assert.rejects(client.request({ url: '/api/v1/x' }), { code: 401, reason: 'token_missing' });
  assert.equal((await client.request({ url: '/api/v1/public' })).statusCode, 200);
  assert.equal(gateway.count(LOGIN), 0);
  await client.wechatLogin();
  await client.logout();
  await assert.rejects(client.request({ url: '/api/v1/x' }), { code: 401, reason: 'token_missing' });
  assert.deepEqual([gateway.count(LOGIN), gateway.count('/api/v1/x')], [1, 2]);
});

test('the token is refreshed in the last tenth of its life and not before', async (t) => {
  const { gateway, client } = await loggedIn();
  const start = Date.now();
  const clock = t.mock.method(Date, 'now', () => start + LIFETIME * 890);
  await client.request({ url: '/api/v1/x' });
  assert.equal(gateway.count(REFRESH), 0);
  clock.mock.mockImplementation(() => start + LIFETIME * 910);
  await together(5, () => client.request({ url: '/api/v1/x' }));
  assert.equal(gateway.count(REFRESH), 1);
  assert.equal(gateway.calls[gateway.calls.length - 1].header.Authorization, 'Bearer token-2');
});

test('an early refresh that fails stops nobody: the token still holds', async (t) => {
  const { gateway, client } = await loggedIn();
  const late = Date.now() + LIFETIME * 950;
  t.mock.method(Date, 'now', () => late);
  gateway.before = (call) => (call.path === REFRESH ? refusal(503, 'storage_unavailable') : undefined);
  assert.equal((await client.request({ url: '/api/v1/x' })).statusCode, 200);
  assert.equal(client.getLocalToken(), 'token-1');
});

test('a code is never sent twice', async () => {
  const { gateway, phone, client } = startApp();
  phone.code = () => 'the-same';
  gateway.before = () => refusal(502, 'wx_bad_response');
  await assert.rejects(client.wechatLogin(), { code: 502 });
  await assert.rejects(client.wechatLogin(), { reason: 'wx_code_used' });
  assert.equal(gateway.count(LOGIN), 1);
});

test('who opens the project with touristappid logs in again, though the code is always the same', async () => {
  const { gateway, phone, client } = startApp();
  phone.code = () => 'the code is a mock one';
  await client.wechatLogin();
  await client.logout();
  await client.wechatLogin();
  assert.equal(gateway.count(LOGIN), 2);
});

test('request:fail is not 401: nothing is refreshed, replayed or forgotten', async () => {
  const { gateway, phone, client } = await loggedIn();
  phone.online = false;
  const before = phone.calls.length;
  await assert.rejects(client.request({ url: '/api/v1/x', method: 'POST' }), { code: 0, reason: 'network' });
  assert.deepEqual(phone.calls.slice(before), ['request']);
  assert.equal(client.getLocalToken(), 'token-1');
  assert.equal(gateway.count(REFRESH), 0);
});

test('a request is replayed after 401 and after nothing else', async () => {
  const { gateway, client } = await loggedIn();
  for (const [status, reason] of /** @type {[number, string][]} */ ([[500, 'internal'], [502, 'upstream_reset'], [503, 'wx_busy'], [504, 'upstream_timeout'], [409, 'session_key_stale'], [429, 'rate_limited']])) {
    gateway.calls.length = 0;
    gateway.before = () => refusal(status, reason);
    await assert.rejects(client.request({ url: '/api/v1/x', method: 'POST' }), { code: status, reason });
    assert.equal(gateway.calls.length, 1, `${status} was answered by ${gateway.calls.length} requests`);
  }
});

test('a refresh that met an outage leaves the session as it is, and nobody logs in', async () => {
  for (const outage of [() => refusal(503, 'storage_unavailable'), () => { throw new Error('interrupted'); }]) {
    const { gateway, phone, client } = await loggedIn();
    gateway.live.clear();
    gateway.before = (call) => (call.path === REFRESH ? outage() : undefined);
    await assert.rejects(client.request({ url: '/api/v1/x' }), (/** @type {any} */ e) => e.code !== 401);
    assert.equal(client.getLocalToken(), 'token-1');
    assert.equal(phone.calls.filter((name) => name === 'login').length, 1);
  }
});

test('a token that was refused a refresh is not offered for one again', async () => {
  const { gateway, client } = await loggedIn();
  gateway.live.clear();
  gateway.refreshes = false;
  gateway.before = (call) => (call.path === LOGIN ? refusal(503, 'wx_busy') : undefined);
  await assert.rejects(client.request({ url: '/api/v1/x' }), { code: 503 });
  gateway.before = () => {};
  assert.equal((await client.request({ url: '/api/v1/x' })).statusCode, 200);
  assert.equal(gateway.count(REFRESH), 1);
});

test('a silent login that is refused ends the session; one that met an outage does not', async () => {
  for (const [status, kept] of /** @type {[number, string][]} */ ([[403, ''], [401, ''], [429, 'token-1'], [503, 'token-1']])) {
    const { gateway, client } = await loggedIn();
    gateway.live.clear();
    gateway.refreshes = false;
    gateway.before = (call) => (call.path === LOGIN ? refusal(status, 'no') : undefined);
    await assert.rejects(client.request({ url: '/api/v1/x' }), { code: status });
    assert.equal(client.getLocalToken(), kept, `after ${status}`);
  }
});

test('unless-revoked: a session that was ended elsewhere stays ended', async () => {
  const { gateway, client } = await loggedIn({ silentLogin: 'unless-revoked' });
  gateway.before = () => refusal(401, 'token_revoked');
  await assert.rejects(client.request({ url: '/api/v1/x' }), { code: 401, reason: 'token_revoked' });
  assert.deepEqual([client.getLocalToken(), gateway.count(LOGIN)], ['', 1]);
});

test('unless-revoked: a session that was ended elsewhere stays ended when the token is also late or expired', async (t) => {
  for (const age of [950, 1100]) {
    const { gateway, client } = await loggedIn({ silentLogin: 'unless-revoked' });
    const late = Date.now() + LIFETIME * age;
    const clock = t.mock.method(Date, 'now', () => late);
    gateway.before = (call) => (call.path === REFRESH ? refusal(401, 'token_revoked') : undefined);
    gateway.live.clear();
    await assert.rejects(client.request({ url: '/api/v1/x' }), { code: 401, reason: 'token_expired' });
    assert.deepEqual([client.getLocalToken(), gateway.count(LOGIN)], ['', 1], `at the age of ${age} s`);
    clock.mock.restore();
  }
});

test('otherwise it comes back by a silent login', async () => {
  const { gateway, client } = await loggedIn();
  gateway.live.clear();
  gateway.before = (call) => (call.path === REFRESH ? refusal(401, 'token_revoked') : undefined);
  assert.equal((await client.request({ url: '/api/v1/x' })).statusCode, 200);
  assert.equal(client.getLocalToken(), 'token-2');
});

test('a profile that arrives after logout() is not kept', async () => {
  const { gateway, phone, client } = await loggedIn();
  const slow = held();
  gateway.before = (call) => (call.path === '/api/v1/user/profile' ? slow.promise : undefined);
  const late = client.request({ url: '/api/v1/user/profile' });
  await settled();
  await client.logout();
  slow.release(success({ id: 1 }));
  await late;
  assert.equal(phone.storage.size, 0);
});

test('a profile of before logout() does not become that of who logged in since', async () => {
  const { gateway, client } = await loggedIn();
  const slow = held();
  gateway.before = (call) => (call.path === '/api/v1/user/profile' ? slow.promise : undefined);
  const late = client.request({ url: '/api/v1/user/profile' });
  await settled();
  await client.logout();
  await client.wechatLogin();
  slow.release(success({ id: 99 }));
  await late;
  assert.equal((client.getLocalUserInfo() || { id: 0 }).id, 1);
});

test('a logout while the avatar is uploaded ends the login too', async () => {
  const { gateway, client } = startApp();
  const slow = held();
  gateway.before = (call) => (call.file ? slow.promise : undefined);
  const login = client.wechatLogin({ avatarUrl: 'http://tmp/a.png' });
  await settled();
  await client.logout();
  slow.release();
  await assert.rejects(login, { reason: 'logged_out' });
  assert.equal(client.getLocalToken(), '');
});

test('logout() tells the gateway first, then clears', async () => {
  const { gateway, phone, client } = await loggedIn();
  let stored = '';
  gateway.before = (call) => { if (call.path === LOGOUT) stored = phone.storage.get('access_token'); };
  assert.equal(await client.logout(), true);
  assert.equal(stored, 'token-1');
  assert.equal(gateway.calls[gateway.calls.length - 1].header.Authorization, 'Bearer token-1');
  assert.equal(phone.storage.size, 0);
});

test('logout() without a network clears all the same and says that the gateway does not know', async () => {
  const { phone, client } = await loggedIn();
  phone.online = false;
  assert.equal(await client.logout(), false);
  assert.equal(client.getLocalToken(), '');
});

test('while logout() waits for its answer, nobody is logged in again behind their back', async (t) => {
  const { gateway, phone, client } = await loggedIn();
  const slow = held();
  gateway.before = (call) => { if (call.path === LOGOUT) { gateway.live.clear(); return slow.promise; } };
  const leaving = client.logout();
  await assert.rejects(client.request({ url: '/api/v1/x' }), { code: 401 });
  const late = Date.now() + LIFETIME * 950;
  t.mock.method(Date, 'now', () => late);
  await assert.rejects(client.request({ url: '/api/v1/x' }), { code: 401 });
  slow.release(success({}));
  await leaving;
  assert.deepEqual([phone.storage.size, gateway.count(REFRESH), gateway.count(LOGIN), gateway.count('/api/v1/x')], [0, 0, 1, 2]);
});

test('who logs in again while logout() waits stays logged in', async () => {
  const { gateway, client } = await loggedIn();
  const slow = held();
  gateway.before = (call) => (call.path === LOGOUT ? slow.promise : undefined);
  const leaving = client.logout();
  await client.wechatLogin();
  slow.release(success({}));
  await leaving;
  assert.equal(client.getLocalToken(), 'token-2');
});

test('logout({all: true}) ends every session', async () => {
  const { gateway, client } = await loggedIn();
  await client.logout({ all: true });
  assert.equal(gateway.calls[gateway.calls.length - 1].path, `${LOGOUT}?all=true`);
});

test('access_token and user_info can be read as ever', async () => {
  const { client, wx } = await loggedIn();
  assert.equal(wx.getStorageSync('access_token'), 'token-1');
  assert.deepEqual(wx.getStorageSync('user_info'), client.getLocalUserInfo());
});

test('a token of an older client is used as it is', async () => {
  const { gateway, client, wx } = startApp();
  gateway.live.add('older');
  wx.setStorageSync('access_token', 'older');
  assert.equal((await client.request({ url: '/api/v1/x' })).statusCode, 200);
});

test('a token never goes to another gateway than the one that issued it', async () => {
  const { client } = await loggedIn();
  client.configure({ baseUrl: 'https://other.example' });
  assert.equal(client.getLocalToken(), '');
});

test('checkLoginStatus: the gateway decides, and without a network the stored token counts', async () => {
  const { gateway, phone, client } = startApp();
  assert.equal(await client.checkLoginStatus(), false);
  await client.wechatLogin();
  assert.equal(await client.checkLoginStatus(), true);
  phone.online = false;
  assert.equal(await client.checkLoginStatus(), true);
  phone.online = true;
  gateway.before = () => refusal(401, 'token_revoked');
  assert.equal(await client.checkLoginStatus(), false);
  assert.ok(!phone.calls.includes('checkSession'));
});
