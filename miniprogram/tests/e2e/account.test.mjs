// The account of the example mini-program against the real gateway: login, tokens, profile, devices, deletion, privacy.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contrasts } from './looks.mjs';
import { openStage } from './stage.mjs';
import { REFRESHES } from './world.mjs';

const stage = openStage();
const { withPhone } = stage;

test('login needs consent, shows a wrong code, and succeeds', withPhone('alice', async (phone) => {
  await phone.sees('登录后可以给菜谱点赞');
  await phone.top.getByRole('button', { name: '登录' }).tap();
  await phone.picture('login-empty');
  await phone.tap('微信一键登录');
  await phone.sees('请先阅读并同意');
  assert.ok(!phone.requests.includes('POST /api/v1/auth/wx-login'), 'it logged in without consent');
  await phone.top.getByPlaceholder('请输入昵称').fill('小厨');
  await phone.consent();
  phone.nextCode = 'err-40029';
  await phone.tap('微信一键登录');
  await phone.sees('微信登录失败，请再试一次（错误码 40029）');
  await phone.picture('login-error');
  assert.deepEqual(await contrasts(phone.top), []);
  await phone.tap('微信一键登录');
  await phone.isAt('pages/index/index');
  await phone.sees('小厨');
  await phone.picture('index-user');
  await phone.boot();
  await phone.sees('小厨');
}));

const logins = (phone) => phone.requests.filter((request) => request.endsWith('wx-login')).length;

test('the data are exported and can be sent', withPhone('dina', async (phone) => {
  await phone.logIn({ nickName: '迪娜' });
  await phone.tap('我的');
  await phone.sees('注销账号');
  await phone.picture('profile-rights');
  await phone.tap('导出数据');
  await phone.sees('以下是你的账号数据');
  await phone.sees('"nickname": "迪娜"');
  assert.doesNotMatch(await phone.top.locator('.text').textContent(), /session_key|token/);
  await phone.picture('export');
  assert.deepEqual(await contrasts(phone.top), []);
  await phone.tap('发送到聊天');
  await phone.toast('my-data.json');
  assert.equal(logins(phone), 1, 'who has just logged in is believed');
}));

test('an account is deleted after a question; neither a visit nor a cold start takes it back, a login does', withPhone('erik', async (phone) => {
  const answer = (word) => phone.page.locator('#modal').getByRole('button', { name: word }).tap();
  await phone.logIn({ nickName: '埃里克' });
  const [token, { id }] = [await phone.storage('access_token'), await phone.storage('user_info')];
  await phone.tap('我的');
  await phone.tap('注销账号');
  await phone.page.getByText('确定注销？').waitFor();
  await phone.picture('profile-delete');
  await answer('取消');
  assert.equal(logins(phone), 1);
  await phone.tap('注销账号');
  await answer('确定');
  await phone.page.getByText(/^\d+ 月 \d+ 日 \d\d:\d\d 之前重新登录，即可撤回$/).waitFor();
  await phone.picture('profile-deleted');
  assert.equal(await phone.page.locator('#modal').getByRole('button', { name: '取消' }).isVisible(), false);
  await answer('确定');
  await phone.isAt('pages/index/index');
  await phone.sees('你好，欢迎来到食堂');
  assert.deepEqual([await phone.storage('access_token'), await phone.storage('access_token_life'), await phone.storage('user_info')], ['', '', '']);
  assert.equal((await stage.world.call('GET', '/api/v1/user/profile', token)).status, 401, 'every session has ended');
  await phone.boot();
  await phone.sees('你好，欢迎来到食堂');
  await phone.tap('红烧肉');
  await phone.sees('分享海报');
  assert.equal(logins(phone), 2, 'one by hand, and the one before the deletion');
  await phone.page.evaluate(() => phone.pages.restart('/pages/index/index'));
  await phone.logIn();
  const back = await phone.storage('user_info');
  assert.deepEqual([back.id, back.nickname], [id, '埃里克'], 'a login takes it back');
}));

test('a deletion whose answer is lost on the way stays one', withPhone('ernst', async (phone) => {
  await phone.logIn();
  await phone.tap('我的');
  const deletion = phone.hold('DELETE /api/v1/user');
  await phone.tap('注销账号');
  await phone.page.locator('#modal').getByRole('button', { name: '确定' }).tap();
  await deletion.arrived;
  deletion.release(new Error('net::ERR_CONNECTION_RESET'));
  await phone.sees('网络不可用');
  const before = logins(phone);
  await phone.boot();
  await phone.toast('登录已失效');
  await phone.sees('你好，欢迎来到食堂');
  assert.deepEqual([logins(phone), await phone.storage('access_token')], [before, '']);
}));

test('an avatar is cut, uploaded through the gateway and saved as a URL that everybody can load', withPhone('carol', async (phone) => {
  await phone.logIn({ nickName: '卡罗', avatar: true });
  const { avatar } = await phone.storage('user_info');
  assert.match(avatar, new RegExp(`^${stage.world.base}/uploads/.+\\.png$`));
  const picture = await fetch(avatar);
  assert.deepEqual([picture.status, picture.headers.get('content-type')], [200, 'image/png']);
  await phone.top.locator('image.face').waitFor();
  await phone.picture('index-avatar');
}));

test('an old base library offers the profile that it still knows, and its https avatar goes with the login', withPhone('quinn', async (phone) => {
  await phone.page.route('https://thirdwx.qlogo.cn/**', (route) => route.fulfill({ contentType: 'image/svg+xml', body: '<svg xmlns="http://www.w3.org/2000/svg"/>' }));
  await phone.page.evaluate(() => {
    delete phone.wx.getAppBaseInfo;
    phone.wx.getSystemInfoSync = () => ({ SDKVersion: '2.19.4' });
    phone.wx.getUserProfile = ({ success }) => success({ userInfo: { nickName: '老微信', avatarUrl: 'https://thirdwx.qlogo.cn/a/132' } });
  });
  await phone.top.getByRole('button', { name: '登录' }).tap();
  await phone.tap('使用微信头像和昵称');
  await phone.consent();
  await phone.tap('微信一键登录');
  await phone.isAt('pages/index/index');
  const { nickname, avatar } = await phone.storage('user_info');
  assert.deepEqual([nickname, avatar], ['老微信', 'https://thirdwx.qlogo.cn/a/132']);
  assert.ok(!phone.requests.some((request) => request.endsWith('/uploads')));
}));

test('two requests that meet 401 together are one refresh at the gateway', withPhone('dave', async (phone) => {
  await phone.logIn();
  await phone.store('access_token', stage.world.expired(await phone.storage('access_token')));
  const before = await stage.world.counted(REFRESHES);
  const statuses = await phone.page.evaluate(async () => {
    const { request } = phone.load('utils/wechat-login');
    const answers = await Promise.all([request({ url: '/api/v1/user/profile' }), request({ url: '/api/v1/recipes/1/like', method: 'POST' })]);
    return answers.map((answer) => answer.statusCode);
  });
  assert.deepEqual(statuses, [200, 200]);
  assert.equal(await stage.world.counted(REFRESHES) - before, 1);
  assert.equal(phone.requests.filter((request) => request.endsWith('wx-login')).length, 1);
}));

test('a token that expired while offline is refreshed when the network is back', withPhone('erin', async (phone) => {
  await phone.logIn({ nickName: '艾琳' });
  await phone.store('access_token', stage.world.expired(await phone.storage('access_token')));
  phone.online = false;
  await phone.page.evaluate(() => phone.pages.pullDown());
  await phone.sees('网络不可用');
  await phone.sees('艾琳');
  await phone.picture('index-offline');
  phone.online = true;
  const before = await stage.world.counted(REFRESHES);
  await phone.tap('再试一次');
  await phone.page.waitForFunction(() => !phone.pages.current.data.error && !phone.pages.current.data.loading);
  await phone.sees('艾琳');
  assert.equal(await stage.world.counted(REFRESHES) - before, 1);
}));

test('a logout on another device is noticed here, and nobody is logged in again behind their back', withPhone('frank', async (phone) => {
  await phone.logIn({ nickName: '弗兰克' });
  const other = await stage.world.login('frank');
  await stage.world.call('POST', '/api/v1/auth/logout?all=true', other);
  await phone.page.evaluate(() => phone.pages.pullDown());
  await phone.toast('登录已失效');
  await phone.sees('你好，欢迎来到食堂');
  await phone.sees('红烧肉');
  assert.equal(await phone.storage('access_token'), '');
  assert.equal(phone.requests.filter((request) => request.endsWith('wx-login')).length, 1);
}));

test('logout ends the session at the gateway', withPhone('grace', async (phone) => {
  await phone.logIn();
  const token = await phone.storage('access_token');
  await phone.page.evaluate(() => phone.pages.push('/pages/profile/profile'));
  await phone.tap('退出登录');
  await phone.isAt('pages/index/index');
  await phone.sees('登录后可以给菜谱点赞');
  assert.equal((await stage.world.call('GET', '/api/v1/user/profile', token)).status, 401);
}));

test('the profile is edited and the list follows', withPhone('heidi', async (phone) => {
  await phone.logIn({ nickName: '海蒂', avatar: true });
  await phone.tap('我的');
  await phone.isAt('pages/profile/profile');
  await phone.top.getByPlaceholder('请输入昵称').fill('大厨海蒂');
  await phone.top.getByPlaceholder('介绍一下自己').fill('爱做菜');
  await phone.tap('保存');
  await phone.toast('已保存');
  await phone.picture('profile');
  await phone.page.getByLabel('返回').tap();
  await phone.sees('大厨海蒂');
}));

test('a new avatar leaves alone what was typed and not saved', withPhone('sam', async (phone) => {
  await phone.logIn({ nickName: '山姆' });
  await phone.tap('我的');
  await phone.top.getByPlaceholder('介绍一下自己').fill('还没写完');
  await stage.world.call('PUT', '/api/v1/user/profile', await phone.storage('access_token'), { bio: '另一台手机写的' });
  await phone.top.getByRole('button', { name: '更换头像' }).tap();
  await phone.toast('已保存');
  await phone.top.locator('image').waitFor();
  assert.equal(await phone.top.getByPlaceholder('介绍一下自己').inputValue(), '还没写完');
}));

test('devices are listed and one is ended', withPhone('ivan', async (phone) => {
  await phone.logIn();
  const other = await stage.world.login('ivan');
  await phone.tap('我的');
  await phone.sees('本机');
  await phone.sees(/^\d+ 月 \d+ 日 \d\d:\d\d 登录$/); // two phones of one kind are told apart by it
  await phone.picture('profile-devices');
  await phone.top.locator('.end').tap();
  await phone.page.getByRole('button', { name: '确定' }).tap();
  await phone.top.locator('.end').waitFor({ state: 'detached' });
  assert.equal((await stage.world.call('GET', '/api/v1/user/profile', other)).status, 401);
}));

test('the phone number is bound by the code of the button', withPhone('judy', async (phone) => {
  await phone.logIn();
  await phone.tap('我的');
  await phone.tap('绑定手机号');
  await phone.sees(/\d{3}\*{4}\d{4}/);
  await phone.picture('profile-phone');
  const shown = await phone.top.getByText(/\d{3}\*{4}\d{4}/).textContent();
  await phone.page.getByLabel('返回').tap();
  await phone.tap('我的');
  await phone.sees(shown);
  await phone.sees('更换');
  await phone.boot();
  await phone.tap('我的');
  await phone.sees(shown);
  const stored = await phone.page.evaluate(() => window.localStorage.getItem('wx-storage'));
  assert.doesNotMatch(stored, /[:"]1\d{10}"/, 'the whole number stays with the gateway');
  await phone.tap('退出登录');
  await phone.sees('登录后可以给菜谱点赞');
  phone.owner.person = 'ken';
  await phone.logIn();
  await phone.tap('我的');
  await phone.sees('绑定手机号');
}));

test('sealed data are opened by the gateway, which alone has the session_key', withPhone('lena', async (phone) => {
  await phone.logIn();
  const steps = await phone.page.evaluate(async () => {
    const { decrypt } = phone.load('utils/wechat-login');
    return (await decrypt(() => phone.host('getWeRunData'))).stepInfoList.length;
  });
  assert.ok(steps > 0);
}));

test('the privacy agreement comes first, and refusing it only stops what needs it', withPhone('kate', async (phone) => {
  await phone.top.getByRole('button', { name: '登录' }).tap();
  await phone.top.getByRole('button', { name: '选择头像' }).tap();
  await phone.sees('隐私保护提示');
  await phone.picture('privacy');
  await phone.top.getByRole('button', { name: '拒绝' }).tap();
  await phone.top.getByText('隐私保护提示').waitFor({ state: 'detached' });
  assert.equal(await phone.top.locator('image').count(), 0);
  await phone.top.getByRole('button', { name: '选择头像' }).tap();
  await phone.top.getByRole('button', { name: '同意', exact: true }).tap();
  await phone.top.locator('image').waitFor();
  await phone.consent();
  await phone.tap('微信一键登录');
  await phone.isAt('pages/index/index');
}, { privacy: true }));

test('consent on the login page asks for the privacy agreement, without which the nickname is a plain text field', withPhone('nina', async (phone) => {
  const needed = () => phone.page.evaluate(() => phone.privacy.needed);
  await phone.top.getByRole('button', { name: '登录' }).tap();
  await phone.consent();
  await phone.sees('隐私保护提示');
  await phone.top.getByRole('button', { name: '拒绝' }).tap();
  assert.equal(await needed(), true);
  await phone.consent();
  await phone.consent();
  await phone.top.getByRole('button', { name: '同意', exact: true }).tap();
  assert.equal(await needed(), false);
  await phone.tap('微信一键登录');
  await phone.isAt('pages/index/index');
}, { privacy: true }));

test('the privacy popup answers everybody who waits, also when its page is left', withPhone('olga', async (phone) => {
  const answers = () => phone.page.evaluate(() => Promise.race(
    [Promise.all(window.waiting), new Promise((resolve) => { setTimeout(resolve, 2000, 'they wait still'); })]));
  const ask = () => phone.page.evaluate(() => { window.waiting = [1, 2].map(() => phone.privacy.agreed('button.chooseAvatar')); });
  await phone.top.getByRole('button', { name: '登录' }).tap();
  await ask();
  await phone.top.getByRole('button', { name: '拒绝' }).tap();
  assert.deepEqual(await answers(), [false, false]);
  await ask();
  await phone.page.getByLabel('返回').tap();
  assert.deepEqual(await answers(), [false, false]);
}, { privacy: true }));
