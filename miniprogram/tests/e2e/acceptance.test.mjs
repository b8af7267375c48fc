// What a team ticks off before it trusts a login, the front end's half: docs/acceptance.md. The back end's half is in
// e2e/acceptance_test.go, and `make acceptance` runs both.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStage } from './stage.mjs';

const LOGIN = 'POST /api/v1/auth/wx-login';

const stage = openStage();
const { withPhone } = stage;

test('wx.login gives a code', withPhone('adam', async (phone) => {
  const codeOf = () => phone.page.evaluate(() => new Promise((success, fail) => { phone.wx.login({ success: ({ code }) => success(code), fail }); }));
  const codes = [await codeOf(), await codeOf()];
  for (const code of codes) assert.match(code, /^[\w-]{8,}$/);
  assert.notEqual(codes[0], codes[1]);
  const { status } = await stage.world.call('POST', '/api/v1/auth/wx-login', '', { code: codes[0] });
  assert.equal(status, 200, 'a code logs in');
}));

test("the user's nickname and avatar are obtained", withPhone('beth', async (phone) => {
  await phone.logIn({ nickName: '小厨', avatar: true });
  const { data } = await stage.world.call('GET', '/api/v1/user/profile', await phone.storage('access_token'));
  assert.equal(data.data.nickname, '小厨');
  assert.match(data.data.avatar, /^https?:\/\//, 'the picture is where others can see it');
  await phone.sees('小厨');
}));

test('the login request reaches the back end', withPhone('carl', async (phone) => {
  const before = await stage.world.counted('wxgate_authn_logins_total');
  await phone.logIn();
  assert.equal(phone.requests.filter((request) => request === LOGIN).length, 1);
  assert.equal(await stage.world.counted('wxgate_authn_logins_total'), before + 1);
}));

test('the token is stored', withPhone('dora', async (phone) => {
  assert.equal(await phone.storage('access_token'), '');
  await phone.logIn();
  const token = await phone.storage('access_token');
  assert.equal(token.split('.').length, 3);
  await phone.boot();
  assert.equal(await phone.storage('access_token'), token, 'after a cold start');
  const { status } = await stage.world.call('GET', '/api/v1/user/profile', token);
  assert.equal(status, 200);
}));

test('the stored user is read back', withPhone('emil', async (phone) => {
  await phone.logIn({ nickName: '大厨' });
  await phone.boot();
  await phone.sees('大厨');
  const stored = await phone.page.evaluate(() => phone.load('utils/wechat-login').getLocalUserInfo());
  const { data } = await stage.world.call('GET', '/api/v1/user/profile', await phone.storage('access_token'));
  assert.deepEqual([stored.id, stored.openid, stored.nickname], [data.data.id, data.data.openid, '大厨']);
  assert.equal(phone.requests.filter((request) => request === LOGIN).length, 1, 'without another login');
}));

test('a refusal of authorisation is handled', withPhone('fay', async (phone) => {
  await phone.top.getByRole('button', { name: '登录' }).tap();
  await phone.top.getByRole('button', { name: '选择头像' }).tap();
  await phone.sees('隐私保护提示');
  await phone.top.getByRole('button', { name: '拒绝' }).tap();
  await phone.tap('微信一键登录');
  await phone.sees('请先阅读并同意');
  assert.ok(!phone.requests.includes(LOGIN), 'it logged in without consent');
  assert.equal(await phone.storage('access_token'), '');
  await phone.tap('暂不登录，先逛逛');
  await phone.isAt('pages/index/index');
  await phone.sees('红烧肉');
}, { privacy: true }));

test('logging out works', withPhone('gina', async (phone) => {
  await phone.logIn();
  const token = await phone.storage('access_token');
  await phone.page.evaluate(() => phone.pages.push('/pages/profile/profile'));
  await phone.tap('退出登录');
  await phone.isAt('pages/index/index');
  assert.equal(await phone.storage('access_token'), '');
  const { status, data } = await stage.world.call('GET', '/api/v1/user/profile', token);
  assert.deepEqual([status, data.reason], [401, 'token_revoked']);
  await phone.boot();
  await phone.sees('登录后可以给菜谱点赞');
}));
