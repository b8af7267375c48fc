// The example mini-program against the real gateway, and the services behind it: recipes, likes, purchases, the chef.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createProxy } from '../../cloudfunctions/api-proxy/proxy.js';
import { readSettings } from '../../cloudfunctions/api-proxy/settings.js';
import { contrasts, overflows } from './looks.mjs';
import { openStage } from './stage.mjs';
import { REFRESHES, SECRET, eventually } from './world.mjs';

const stage = openStage();
const { withPhone } = stage;

test('a guest browses the list and a recipe', withPhone('guest', async (phone) => {
  await phone.sees('红烧肉');
  await phone.sees('一共 6 道菜');
  await phone.picture('index-guest');
  assert.deepEqual(await contrasts(phone.top), []);
  await phone.tap('麻婆豆腐');
  await phone.sees('豆腐切 2 厘米的丁');
  await phone.picture('recipe');
  await phone.page.getByLabel('返回').tap();
  await phone.isAt('pages/index/index');
  assert.ok(phone.requests.every((request) => request.startsWith('GET ')), `a guest sent ${phone.requests}`);
}));

test('a like leads a guest to the login and back, counts once, and can be taken back', withPhone('bob', async (phone) => {
  await phone.tap('宫保鸡丁');
  await phone.sees('0 人喜欢');
  await phone.tap('喜欢 ♥');
  await phone.isAt('pages/login/login');
  await phone.consent();
  await phone.tap('微信一键登录');
  await phone.isAt('pages/recipe/recipe');
  await phone.tap('喜欢 ♥');
  await phone.sees('1 人喜欢');
  await phone.sees('已喜欢 ♥');
  await phone.picture('recipe-liked');
  assert.deepEqual(await contrasts(phone.top), []);
  await phone.tap('已喜欢 ♥');
  await phone.sees('0 人喜欢');
  await phone.tap('喜欢 ♥');
  await phone.sees('1 人喜欢');
}));

test('a heart is red for who likes the recipe, not for whoever sees that somebody does', withPhone('trent', async (phone) => {
  const heart = () => phone.top.getByRole('link', { name: '清蒸鲈鱼' }).locator('.likes');
  const isRed = async (red, forWhom) => { // once the list has come, which was another's
    await heart().getByText('♥ 1').waitFor();
    await eventually(`a heart ${forWhom}`, async () => (await heart().getAttribute('class')).includes('liked') === red);
  };
  const openRecipe = () => phone.tap('清蒸鲈鱼');
  const back = () => phone.page.getByLabel('返回').tap();
  const leave = () => phone.page.evaluate(() => phone.load('utils/wechat-login').logout().then(() => phone.pages.restart('/pages/index/index')));
  await phone.logIn();
  await openRecipe();
  await phone.tap('喜欢 ♥');
  await phone.sees('已喜欢 ♥');
  await back();
  await isRed(true, 'of who likes it');
  await leave();
  await isRed(false, 'after the logout');
  phone.owner.person = 'victor';
  await phone.logIn();
  await openRecipe();
  await phone.sees('1 人喜欢');
  assert.equal(await phone.top.getByText('已喜欢').count(), 0);
  await back();
  await isRed(false, 'of somebody else');
  await leave();
  phone.owner.person = 'trent';
  await phone.logIn();
  await isRed(true, 'of who comes back');
  await openRecipe();
  await phone.sees('已喜欢 ♥');
  await phone.tap('已喜欢 ♥');
  await phone.sees('0 人喜欢');
}));

test('a recipe is bought: login, payment, delivery by push, refund', withPhone('walter', async (phone) => {
  const answer = (word) => phone.page.locator('#modal').getByRole('button', { name: word }).tap();
  await phone.tap('清蒸鲈鱼');
  await phone.sees('¥1 购买做法');
  await phone.picture('recipe-priced');
  assert.deepEqual(await contrasts(phone.top), []);
  assert.equal(await phone.top.getByText('水开后上锅').count(), 0);
  await phone.tap('购买做法');
  await phone.isAt('pages/login/login');
  await phone.consent();
  await phone.tap('微信一键登录');
  await phone.isAt('pages/recipe/recipe');
  await phone.tap('购买做法');
  await phone.page.getByText('支付 ¥1？').waitFor();
  await answer('取消');
  await phone.settled();
  assert.equal(await phone.page.locator('#toast').isVisible(), false, 'who cancels is told nothing');
  await phone.tap('购买做法');
  await answer('确定');
  await phone.toast('已付款，正在发货');
  await phone.sees('申请退款');
  await phone.sees('水开后上锅');
  await phone.picture('recipe-bought');
  await phone.tap('申请退款');
  await answer('确定');
  await phone.sees('¥1 购买做法');
  assert.equal(await phone.top.getByText('水开后上锅').count(), 0);
}));

test('a recipe that was bought on another device is not paid again, and is there', withPhone('yvonne', async (phone) => {
  await phone.logIn();
  await phone.tap('清蒸鲈鱼');
  await phone.sees('¥1 购买做法');
  const token = await phone.storage('access_token');
  const { data } = await stage.world.call('POST', '/api/v1/pay/virtual/sign', token, { order: { recipe: 4 } });
  await phone.host_pay(data.data);
  await eventually('the delivery', async () => (await stage.world.call('GET', '/api/v1/recipes/4', token)).data.data.bought);
  await phone.tap('购买做法');
  await phone.toast('该订单无法支付');
  await phone.sees('申请退款');
  assert.equal(await phone.page.locator('#modal').isVisible(), false);
}));

test('a login on another device makes the session_key stale, and the payment succeeds all the same, with one login more', withPhone('xavier', async (phone) => {
  await phone.logIn();
  const code = await stage.world.code('xavier');
  await fetch(`${stage.world.wechat}/sns/jscode2session?appid=wx0000000000demo00&secret=sandbox-secret-of-the-tests&grant_type=authorization_code&js_code=${code}`);
  await phone.tap('清蒸鲈鱼');
  await phone.tap('购买做法');
  await phone.page.locator('#modal').getByRole('button', { name: '确定' }).tap();
  await phone.settled();
  await phone.page.locator('#modal').getByRole('button', { name: '确定' }).tap();
  await phone.sees('申请退款');
  const count = (target) => phone.requests.filter((request) => request === target).length;
  assert.deepEqual([count('POST /api/v1/auth/wx-login'), count('POST /api/v1/pay/virtual/sign')], [2, 2]);
}));

test('the chef answers in pieces, after a login, and can be stopped', withPhone('chester', async (phone) => {
  const asks = () => phone.requests.filter((request) => request === 'POST /api/v1/chef').length;
  const answer = () => phone.top.locator('.answer').textContent();
  await phone.sees('红烧肉');
  await phone.tap('问问大厨');
  await phone.isAt('pages/chef/chef');
  await phone.top.getByPlaceholder('红烧肉怎么做').fill('麻婆豆腐怎么做？');
  await phone.tap('问一问');
  await phone.isAt('pages/login/login');
  await phone.consent();
  await phone.tap('微信一键登录');
  await phone.isAt('pages/chef/chef');
  await phone.tap('问一问');
  await phone.sees('先备好');
  const early = await answer();
  assert.ok(!early.includes('3. '), `it came as one: ${early}`);
  await phone.picture('chef-speaking');
  assert.deepEqual(await contrasts(phone.top), []);
  await phone.sees('3. 加一碗热水');
  await phone.top.getByText('问一问').waitFor();
  await phone.picture('chef');
  assert.match(await answer(), /^麻婆豆腐，大约 25 分钟。\n先备好嫩豆腐[^\ufffd]*4\. 分三次勾芡，出锅撒花椒粉。\n$/);
  await phone.tap('问一问');
  await phone.top.locator('.answer').getByText('麻婆').waitFor();
  await phone.tap('停止');
  await phone.top.getByText('问一问').waitFor();
  const stopped = await answer();
  await phone.settled();
  assert.equal(await answer(), stopped);
  assert.deepEqual([asks(), await phone.top.locator('.error').count()], [2, 0], 'a stop is no error');
}));

test('a stream whose token has expired is refreshed once before the first piece, and one that is refused says why', withPhone('chloe', async (phone) => {
  await phone.logIn();
  await phone.store('access_token', stage.world.expired(await phone.storage('access_token')));
  const before = await stage.world.counted(REFRESHES);
  const ask = (question) => phone.page.evaluate(async (words) => {
    const { stream } = phone.load('utils/wechat-login');
    const pieces = [];
    const run = stream({ url: '/api/v1/chef', method: 'POST', data: { question: words }, onChunk: (text) => pieces.push(text) });
    const told = await run.then(({ statusCode }) => statusCode, ({ code, reason, message, requestId }) => [code, reason, message, Boolean(requestId)]);
    return { told, pieces };
  }, question);
  const { told, pieces } = await ask('番茄炒蛋');
  assert.deepEqual([told, pieces.join('').slice(0, 4), await stage.world.counted(REFRESHES) - before], [200, '番茄炒蛋', 1]);
  assert.ok(pieces.length > 5, `${pieces.length} pieces`);
  assert.deepEqual(await ask(''), { told: [400, 'invalid_request', 'question 应为 1 到 100 个字', true], pieces: [] });
  await phone.page.evaluate(() => phone.load('utils/wechat-login').logout());
  const { told: [code, reason], pieces: none } = await ask('番茄炒蛋');
  assert.deepEqual([code, reason, none], [401, 'token_missing', []]);
}));

test('a quota that is used up is told in numbers, and nothing is shown as an answer', withPhone('quincy', async (phone) => {
  await phone.logIn();
  const token = await phone.storage('access_token');
  for (let i = 0; i < 5; i += 1) assert.equal((await stage.world.call('POST', '/api/v1/chef', token, { question: '' })).status, 400);
  await phone.page.evaluate(() => phone.pages.push('/pages/chef/chef'));
  await phone.top.getByPlaceholder('红烧肉怎么做').fill('红烧肉？');
  await phone.tap('问一问');
  await phone.sees(/^今天的 5 次用完了，\d+ 小时后再来$/);
  assert.equal(await phone.top.locator('.answer').count(), 0);
  await phone.picture('chef-quota');
  assert.deepEqual(await contrasts(phone.top), []);
}));

test('a recipe that could not be loaded is asked for again by hand, and by itself when the phone is online again', withPhone('uma', async (phone) => {
  for (const again of [() => phone.tap('再试一次'), () => phone.setOnline(true)]) {
    await phone.sees('番茄炒蛋');
    await phone.setOnline(false);
    await phone.tap('番茄炒蛋');
    await phone.sees('网络不可用');
    await phone.picture('recipe-offline');
    phone.online = true; // nobody was told yet
    await again();
    await phone.sees('分享海报');
    await phone.page.getByLabel('返回').tap();
  }
}));

test('the list and the devices come by themselves when the phone is online again, and a page that is left asks for nothing', withPhone('wanda', async (phone) => {
  await phone.logIn();
  await phone.setOnline(false);
  await phone.page.evaluate(() => phone.pages.pullDown());
  await phone.sees('网络不可用');
  await phone.setOnline(true);
  await phone.sees('一共');
  await phone.setOnline(false);
  await phone.tap('我的');
  await phone.sees('网络不可用');
  const before = phone.requests.length;
  await phone.setOnline(true);
  await phone.sees('本机');
  assert.deepEqual(phone.requests.slice(before), ['GET /api/v1/auth/sessions'], 'the list, which is hidden, asked too');
  assert.equal(await phone.top.getByText('再试一次').count(), 0);
}));

const LIST = 'GET /api/v1/recipes';

test('of two loads of the list that race, the answer to the older one changes nothing when it comes last', withPhone('xena', async (phone) => {
  const author = await stage.world.login('xena');
  await phone.sees('红烧肉');
  const older = phone.hold(LIST);
  await phone.page.evaluate(() => { phone.pages.pullDown(); });
  await older.arrived;
  const { data } = await stage.world.call('POST', '/api/v1/recipes', author, { title: '后来的面', minutes: 5, ingredients: ['面'], steps: ['煮'] });
  await phone.page.evaluate(() => phone.pages.current.onShow());
  await phone.sees('后来的面');
  older.release();
  await phone.settled();
  await phone.sees('后来的面');
  await stage.world.call('DELETE', `/api/v1/recipes/${data.data.id}`, author);
}));

test('a list that fails late does not hide the one that came meanwhile', withPhone('yara', async (phone) => {
  await phone.sees('红烧肉');
  const older = phone.hold(LIST);
  await phone.page.evaluate(() => { phone.pages.pullDown(); });
  await older.arrived;
  await phone.page.evaluate(() => phone.pages.current.onAgain());
  older.release(new Error('net::ERR_CONNECTION_RESET'));
  await phone.settled();
  assert.equal(await phone.page.evaluate(() => phone.pages.current.data.error), '');
}));

test('a recipe that was asked for before the like does not take the like away', withPhone('zoe', async (phone) => {
  await phone.logIn();
  await phone.tap('蒜蓉西兰花');
  await phone.sees('分享海报');
  const older = phone.hold('GET /api/v1/recipes/6');
  await phone.page.evaluate(() => { phone.pages.current.onShow(); });
  await older.arrived;
  await phone.tap('喜欢 ♥');
  await phone.sees('已喜欢 ♥');
  older.release();
  await phone.settled();
  await phone.sees('已喜欢 ♥');
}));

test('a device that was ended does not come back with an older list', withPhone('abel', async (phone) => {
  await phone.logIn();
  await stage.world.login('abel');
  await phone.tap('我的');
  await phone.sees('本机');
  const older = phone.hold('GET /api/v1/auth/sessions');
  await phone.page.evaluate(() => { phone.pages.current.loadDevices(); });
  await older.arrived;
  await phone.top.locator('.end').tap();
  await phone.page.getByRole('button', { name: '确定' }).tap();
  await phone.top.locator('.end').waitFor({ state: 'detached' });
  older.release();
  await phone.settled();
  assert.equal(await phone.top.locator('.end').count(), 0);
}));

test('a page that was left leads nowhere any more, whatever its answer says', withPhone('bess', async (phone) => {
  await phone.logIn();
  const profile = phone.hold('GET /api/v1/user/profile');
  await phone.tap('我的');
  await profile.arrived;
  await phone.page.getByLabel('返回').tap();
  await phone.page.evaluate(() => phone.load('utils/wechat-login').logout());
  profile.release(new Error('net::ERR_CONNECTION_RESET'));
  await phone.settled();
  await phone.isAt('pages/index/index');
  await phone.tap('红烧肉');
  await phone.tap('喜欢 ♥');
  await phone.consent();
  const login = phone.hold('POST /api/v1/auth/wx-login');
  await phone.tap('微信一键登录');
  await login.arrived;
  await phone.page.getByLabel('返回').tap();
  await phone.isAt('pages/recipe/recipe');
  login.release();
  await phone.settled();
  await phone.isAt('pages/recipe/recipe');
}));

test('PATCH arrives at the service as PATCH', withPhone('oscar', async (phone) => {
  await phone.logIn();
  const answer = await phone.page.evaluate(async () => {
    const { request } = phone.load('utils/wechat-login');
    return (await request({ url: '/api/v1/whoami', method: 'PATCH', data: { title: '阳春面' } })).data;
  });
  assert.equal(answer.data.method, 'PATCH');
  assert.equal(phone.requests.pop(), 'POST /api/v1/whoami');
}));

test('a socket opens through the gateway with the token in its header, and not without', withPhone('paula', async (phone) => {
  const open = () => phone.page.evaluate(() => {
    phone.wx.connectSocket = ({ url, header }) => phone.host('socket', { url, header });
    return phone.load('utils/wechat-login').connectSocket({ url: '/live' });
  });
  assert.equal(await open(), 401);
  await phone.logIn();
  assert.equal(await open(), `user ${(await phone.storage('user_info')).id}`);
}));

test('the cloud function logs its caller in by an openid that it signs, and by no other', async () => {
  const settings = readSettings({ WXGATE_URL: stage.world.base, WXGATE_SECRET: SECRET });
  const caller = { OPENID: 'oOfTheCloud_000000000000001', APPID: 'wx0000000000demo00' };
  const login = { method: 'POST', path: '/api/v1/auth/cloud-login', data: { nickName: '云' } };
  const { statusCode, data } = await createProxy(settings, () => caller)(login);
  assert.deepEqual([statusCode, data.data.user.openid, data.data.user.nickname], [200, caller.OPENID, '云']);
  const forger = createProxy(Object.assign({}, settings, { secret: `${SECRET}x` }), () => caller);
  assert.equal((await forger(login)).statusCode, 401);
});

test('a picture goes through cloud function, gateway and service byte for byte, both ways', withPhone('dora', async (phone) => {
  await phone.logIn();
  const proxy = createProxy(readSettings({ WXGATE_URL: stage.world.base, WXGATE_PREFIX: '/', WXGATE_TIMEOUT_MS: '30000' }), () => ({}));
  phone.host_callFunction = (event) => proxy(event);
  const { sent, received, type, refused } = await phone.page.evaluate(async () => {
    phone.wx.cloud = { callFunction: ({ data, success, fail }) => phone.host('callFunction', data).then((result) => success({ result }), fail) };
    const client = phone.load('utils/wechat-login');
    client.configure({ transport: 'function', env: 'prod-1' });
    const bytes = (text) => [...text].map((character) => character.charCodeAt(0));
    const picture = bytes('\x89PNG\r\n\x1a\n').concat(Array.from({ length: 256 }, (_, i) => i));
    const head = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n';
    const body = Uint8Array.from(bytes(head).concat(picture, bytes('\r\n--b--\r\n'))).buffer;
    const header = { 'Content-Type': 'multipart/form-data; boundary=b' };
    const { data } = await client.request({ url: '/api/v1/uploads', method: 'POST', header, data: body });
    const answer = await client.request({ url: data.data.url.replace(/^https?:\/\/[^/]+/, ''), responseType: 'arraybuffer' });
    const refusal = await client.request({ url: '/api/v1/recipes/999', responseType: 'arraybuffer' }).catch((error) => error);
    return { sent: picture, received: [...new Uint8Array(answer.data)], type: answer.header['content-type'], refused: refusal.reason };
  });
  assert.deepEqual([received, type, refused], [sent, 'image/png', 'recipe_not_found']);
}));

test('the id of a link is an id and nothing else', withPhone('paul', async (phone) => {
  await phone.logIn();
  await phone.page.evaluate(() => phone.pages.push('/pages/recipe/recipe?id=..%2F..%2Fv1%2Fuser%2Fprofile'));
  await phone.top.locator('.error').waitFor();
  assert.ok(!phone.requests.includes('GET /api/v1/user/profile'), `${phone.requests}`);
}));

test('a poster is drawn and offered', withPhone('leo', async (phone) => {
  await phone.tap('红烧肉');
  await phone.tap('分享海报');
  await phone.page.getByAltText('海报').waitFor();
  await phone.picture('poster');
}));

test('dark mode and large text keep everything readable', withPhone('mia', async (phone) => {
  await phone.logIn({ nickName: '夜猫子', avatar: true });
  await phone.picture('dark-index');
  assert.deepEqual(await contrasts(phone.top), []);
  await phone.tap('我的');
  await phone.page.waitForFunction(() => phone.pages.current.data.user);
  await phone.picture('dark-profile');
  assert.deepEqual(await contrasts(phone.top), []);
  await phone.page.evaluate(() => phone.pages.replace('/pages/recipe/recipe?id=3'));
  await phone.sees('豆腐');
  await phone.picture('dark-recipe');
  assert.deepEqual(await contrasts(phone.top), []);
  await phone.page.evaluate(() => document.documentElement.style.setProperty('--system-font-size', '23px'));
  for (const [name, sign] of Object.entries({ index: '红烧肉', recipe: '豆腐', profile: '注销账号', login: '微信一键登录', chef: '问一问' })) {
    await phone.page.evaluate((page) => phone.pages.restart(`/pages/${page}/${page}?id=3`), name);
    await phone.sees(sign);
    await phone.picture(`large-${name}`);
    assert.deepEqual(await contrasts(phone.top), []);
    assert.deepEqual(await overflows(phone.top), [], name);
  }
}, { dark: true }));

test('whoever comes back from a recipe finds the list as long as they left it', withPhone('rita', async (phone) => {
  const author = await stage.world.login('rita');
  for (let i = 1; i <= 24; i++) await stage.world.call('POST', '/api/v1/recipes', author, { title: `面 ${i}`, minutes: 5, ingredients: ['面'], steps: ['煮'] });
  const length = (n) => phone.page.waitForFunction((wanted) => phone.pages.current.data.recipes.length === wanted && !phone.pages.current.data.loading, n);
  await phone.page.evaluate(() => phone.pages.pullDown());
  await length(20);
  await phone.sees('面 5');
  await phone.top.getByText('面 5', { exact: true }).scrollIntoViewIfNeeded();
  await phone.page.evaluate(() => phone.pages.current.onReachBottom());
  await length(30);
  await phone.tap('红烧肉');
  await phone.sees('分享海报');
  const before = phone.requests.length;
  await phone.page.getByLabel('返回').tap();
  await phone.isAt('pages/index/index');
  await length(30);
  assert.deepEqual(phone.requests.slice(before), ['GET /api/v1/recipes'], 'it was cut to one page, and loaded anew from there');
  await phone.page.evaluate(() => phone.pages.pullDown());
  await length(20);
}));
