// Deletion and export. The real gateway plays in tests/e2e.
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { held, refusal, startApp } = require('./phone');

const LOGIN = '/api/v1/auth/wx-login';
const REFRESH = '/api/v1/auth/refresh';
const USER = '/api/v1/user';
const EXPORT = '/api/v1/user/export';

async function loggedIn(options = {}) {
  const app = startApp(options);
  await app.client.wechatLogin();
  app.gateway.recent.clear(); // that was a week ago
  return app;
}

test('an account is deleted after one more login, and forgotten here', async () => {
  const { client, gateway, phone } = await loggedIn();
  assert.deepEqual(await client.deleteAccount(), { deletes_at: null });
  const { method, header } = gateway.calls[gateway.calls.length - 1];
  assert.deepEqual([method, header.Authorization, gateway.count(LOGIN), gateway.deleted], ['DELETE', 'Bearer token-2', 2, true]);
  assert.deepEqual([client.getLocalToken(), client.getLocalUserInfo(), phone.storage.size], ['', null, 0]);
});

test('with days of grace the day is told, and no request or launch takes the deletion back; a login by hand does', async () => {
  const { client, gateway } = await loggedIn();
  gateway.grace = true;
  assert.deepEqual(await client.deleteAccount(), { deletes_at: '2026-12-07T00:00:00Z' });
  await assert.rejects(client.request({ url: '/api/v1/x' }), { code: 401 });
  await client.checkLoginStatus();
  assert.equal(gateway.deleted, true);
  await client.wechatLogin();
  assert.equal(gateway.deleted, false);
});

test('requests that are under way while the account is deleted log nobody in', async () => {
  const { client, gateway } = await loggedIn();
  const slow = held();
  gateway.before = ({ path }) => (path === '/slow' ? slow.promise : undefined);
  const deleting = client.deleteAccount();
  const late = client.request({ url: '/slow' });
  await deleting;
  slow.release(refusal(401, 'token_revoked'));
  await assert.rejects(late, { code: 401 });
  assert.deepEqual([gateway.deleted, client.getLocalToken()], [true, '']);
});

test('a deletion whose answer is lost is not taken back by the next request, nor after a restart', async () => {
  for (const restarts of [false, true]) {
    const { client, gateway, phone } = await loggedIn();
    gateway.grace = true;
    gateway.before = (call) => {
      if (call.path !== USER) return undefined;
      gateway.route(call);
      throw new Error('net::ERR_CONNECTION_RESET');
    };
    await assert.rejects(client.deleteAccount(), { code: 0, reason: 'network' });
    const next = restarts ? restarted(phone, gateway) : client;
    const logins = gateway.count(LOGIN);
    await assert.rejects(next.request({ url: '/api/v1/x' }), { code: 401 });
    assert.deepEqual([gateway.deleted, next.getLocalToken(), gateway.count(LOGIN)], [true, '', logins]);
  }
});

/** The client as the next launch loads it, with the storage and the gateway of before. @param {any} phone @param {any} gateway */
function restarted(phone, gateway) {
  const again = startApp();
  phone.storage.forEach((/** @type {any} */ value, /** @type {any} */ key) => again.phone.storage.set(key, value));
  again.gateway.answer = (call) => gateway.answer(call);
  return again.client;
}

test('a deletion that the gateway refused leaves the login, which a refresh keeps alive', async () => {
  const { client, gateway } = await loggedIn();
  gateway.before = ({ path }) => (path === USER ? refusal(503, 'storage_unavailable') : undefined);
  await assert.rejects(client.deleteAccount(), { code: 503 });
  assert.equal(client.getLocalToken(), 'token-2');
  gateway.live.clear();
  assert.equal((await client.request({ url: '/api/v1/x' })).statusCode, 200);
  assert.deepEqual([client.getLocalToken(), gateway.count(REFRESH), gateway.count(LOGIN)], ['token-3', 1, 2]);
  gateway.live.clear();
  gateway.refreshes = false;
  assert.equal((await client.request({ url: '/api/v1/x' })).statusCode, 200, 'who was refreshed since is logged in silently as ever');
});

test('two taps are one deletion', async () => {
  const { client, gateway } = await loggedIn();
  await Promise.all([client.deleteAccount(), client.deleteAccount()]);
  assert.deepEqual([gateway.count(USER), gateway.count(LOGIN)], [1, 2]);
});

test('a guest has no account to delete or export, and is not made one', async () => {
  const { client, gateway, phone } = startApp();
  await assert.rejects(client.deleteAccount(), { code: 401, reason: 'token_missing' });
  await assert.rejects(client.exportAccount(), { code: 401, reason: 'token_missing' });
  assert.deepEqual([gateway.count(LOGIN), phone.storage.size], [0, 0]);
});

test('a login that fails deletes nothing', async () => {
  const { client, gateway } = await loggedIn();
  gateway.before = ({ path }) => (path === LOGIN ? refusal(503, 'wx_busy') : undefined);
  await assert.rejects(client.deleteAccount(), { reason: 'wx_busy' });
  assert.deepEqual([gateway.count(USER), client.getLocalToken()], [0, 'token-1']);
});

test('in a browser, where nobody can log in again, the gateway decides', async () => {
  const { client, gateway, wx } = await loggedIn();
  Reflect.deleteProperty(wx, 'login');
  await assert.rejects(client.deleteAccount(), { code: 403, reason: 'login_too_old' });
  gateway.recent.add('token-1');
  assert.deepEqual(await client.deleteAccount(), { deletes_at: null });
});

test('the token of an older client, of which nothing else is known, is still one after a deletion that was refused', async () => {
  const { client, gateway, wx } = startApp();
  gateway.live.add('older');
  wx.setStorageSync('access_token', 'older');
  Reflect.deleteProperty(wx, 'login');
  await assert.rejects(client.deleteAccount(), { code: 403, reason: 'login_too_old' });
  assert.equal((await client.request({ url: '/api/v1/x' })).statusCode, 200);
});

test('an export logs in again only when the gateway asks for it', async () => {
  const { client, gateway } = await loggedIn();
  const { user } = await client.exportAccount();
  assert.deepEqual([user.id, gateway.count(EXPORT), gateway.count(LOGIN)], [1, 2, 2]);
  await client.exportAccount();
  assert.deepEqual([gateway.count(EXPORT), gateway.count(LOGIN)], [3, 2]);
  gateway.before = ({ path }) => (path === EXPORT ? refusal(403, 'login_too_old') : undefined);
  await assert.rejects(client.exportAccount(), { reason: 'login_too_old' });
  assert.deepEqual([gateway.count(EXPORT), gateway.count(LOGIN)], [5, 3]);
});
