// The guides: their code is quoted from files that tests run, their reasons exist, and both say the same.
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { startApp, success } = require('./phone');

const root = path.join(__dirname, '../..');
const CHINESE = '微信原生小程序登录集成指南.md';
const ENGLISH = 'integration-guide.md';
/** @param {string} name */
const read = (name) => fs.readFileSync(path.join(root, name), 'utf8');

/** @param {string} text without indentation, and without lines that only hold space */
const flat = (text) => text.split('\n').map((line) => line.trim()).filter(Boolean).join('\n');

/**
 * Every fenced block, and the file that the line above it names.
 * @param {string} guide
 */
function blocks(guide) {
  return [...read(guide).matchAll(/(?:<!-- from (\S+) -->\n)?^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, file, language, code]) => ({ file, language, code }));
}

for (const guide of [CHINESE, ENGLISH]) {
  test(`${guide}: every block of code is in the file that it names`, () => {
    const all = blocks(guide);
    assert.ok(all.length >= 12, `only ${all.length} blocks`);
    for (const { file, code } of all) {
      assert.ok(file, `this block names no file:\n${code}`);
      for (const part of code.split(/^\s*(?:\/\/|#|<!--) …(?: -->)?$/m)) {
        assert.ok(flat(read(file)).includes(flat(part)), `not in ${file}:\n${part}`);
      }
    }
  });

  test(`${guide}: every reason is one of the gateway or of the client`, () => {
    const api = read('../docs/api.md');
    const client = read('utils/wechat-login.js') + read('utils/transport.js');
    const reasons = [...read(guide).matchAll(/^\| `([a-z_]+)`/gm)].map(([, reason]) => reason);
    assert.ok(reasons.length >= 20);
    for (const reason of reasons) {
      assert.ok(api.includes(`| \`${reason}\` |`) || client.includes(`'${reason}'`), reason);
    }
  });

  test(`${guide}: every reason that a client can meet is explained`, () => {
    const elsewhere = /^admin_|^service_not_allowed$|^conflict$|^client_gone$/; // the admin listener's, and nobody's
    const ofGateway = [...read('../docs/api.md').matchAll(/^\| `([a-z_]+)` \| \d+ \|/gm)];
    const ofClient = (read('utils/wechat-login.js') + read('utils/transport.js')).split('\n')
      .filter((line) => /GatewayError\(|fault\(|reason|^ {2}\['/.test(line)).flatMap((line) => [...line.matchAll(/'([a-z_]+)'/g)]);
    assert.ok(ofClient.length >= 8, `only ${ofClient}`);
    for (const [, reason] of ofGateway.concat(ofClient)) {
      assert.ok(elsewhere.test(reason) || read(guide).includes(`\n| \`${reason}\` |`), `${reason} is not in the table of ${guide}`);
    }
  });

  test(`${guide}: its links lead somewhere`, () => {
    for (const [, target] of read(guide).matchAll(/\]\(([^)#:]+)\)/g)) assert.ok(fs.existsSync(path.join(root, decodeURI(target))), target);
  });
}

test('both guides have the same code, reasons and headings', () => {
  assert.deepEqual(blocks(ENGLISH), blocks(CHINESE));
  for (const pattern of [/^#+ /gm, /^\| `[a-z_]+` \| \d*/gm]) assert.deepEqual(read(ENGLISH).match(pattern), read(CHINESE).match(pattern));
});

function snippets() {
  const app = startApp();
  const file = require.resolve('./snippets');
  delete require.cache[file];
  return Object.assign(app, { guide: require('./snippets') });
}

test('the snippets of the guide work', async () => {
  const { gateway, guide, wx, phone } = snippets();
  await guide.wechatLogin();
  gateway.before = (call) => (call.path.startsWith('/api/v1/recipes?') ? success({ items: [1] }) : undefined);
  assert.deepEqual(await guide.list(), [1]);
  await guide.rename('面');
  assert.deepEqual([gateway.calls[2].method, gateway.calls[2].header['X-HTTP-Method-Override']], ['POST', 'PATCH']);
  assert.equal(await guide.sendPicture('wxfile://a'), 'https://cdn.example/a.png');
  Object.assign(wx, { getWeRunData: async () => ({ encryptedData: 'e', iv: 'i' }) });
  gateway.before = (call) => (call.path.endsWith('decrypt') ? success({ stepInfoList: [7] }) : undefined);
  assert.deepEqual(await guide.steps(), [7]);
  const { login } = wx;
  Object.assign(wx, { login: async () => ({ code: 'fresh' }) });
  assert.equal(await guide.webPage(), 'https://h5.example.com/#/pages/index/index?code=fresh');
  Object.assign(wx, { login });
  phone.calls.length = 0;
  guide.cloudRun();
  await guide.wechatLogin();
  guide.cloudFunction();
  await guide.wechatLogin();
  assert.deepEqual(phone.calls.filter((name) => name.startsWith('call')), ['callContainer', 'callFunction']);
});

test('the guide\'s treatment of errors opens the login page after 401 and tells everything else', async () => {
  const { guide, wx, phone } = snippets();
  /** @type {string[]} */
  const opened = [];
  /** @type {string[]} */
  const shown = [];
  Object.assign(wx, { navigateTo: (/** @type {any} */ o) => opened.push(o.url) });
  await guide.publish((/** @type {string} */ message) => shown.push(message));
  phone.online = false;
  await guide.publish((/** @type {string} */ message) => shown.push(message));
  assert.deepEqual([opened, shown], [['/pages/login/login'], ['网络不可用，请检查网络后再试']]);
});

test('the guide\'s purchase tells what the phone said, and nothing when the user changed their mind', async () => {
  const { guide, phone } = snippets();
  await guide.wechatLogin();
  /** @type {string[]} */
  const shown = [];
  for (const errCode of [0, -2, -4]) {
    phone.payment = () => ({ errCode });
    await guide.buy(7, (/** @type {string} */ message) => shown.push(message));
  }
  assert.deepEqual(shown, ['已付款，正在发货', '支付被微信风控拦截']);
});

test('the guide\'s form shows what the service said of its fields, and its streams are heard and can be stopped', async () => {
  const { guide, gateway, phone, client } = snippets();
  await guide.wechatLogin();
  gateway.before = (call) => (call.path === '/api/v1/recipes' ? { statusCode: 422, data: { errors: { title: '太短' } } } : undefined);
  /** @type {any} */
  let shown = {};
  await guide.save({ title: '面' }, (/** @type {any} */ errors) => { shown = errors; });
  assert.deepEqual(shown, { title: '太短' });
  phone.online = false;
  await assert.rejects(guide.save({}, () => {}), { reason: 'network' });
  phone.online = true;
  /** @type {string[]} */
  const heard = [];
  const { taskOf } = phone;
  gateway.before = (call) => (call.path === '/api/v1/chat' ? new Promise(() => {}) : undefined);
  phone.taskOf = (/** @type {any} */ given) => Object.assign(given, { onChunkReceived: () => heard.push('listens'), abort: () => heard.push('aborted') });
  const stop = guide.listen(() => {});
  await new Promise((resolve) => { setTimeout(resolve, 5); });
  stop();
  assert.deepEqual([heard, client.getLocalToken()], [['listens', 'aborted'], 'token-1']);
  phone.taskOf = taskOf;
  gateway.before = () => ({ statusCode: 200, header: {}, chunks: ['data: {"text":"先', '焯水"}\n', '\ndata: {"text":"再炖"}\n\n'] });
  /** @type {string[]} */
  const said = [];
  await guide.ask('红烧肉怎么做', (/** @type {string} */ text) => said.push(text));
  assert.deepEqual(said, ['先焯水', '再炖']);
});

test('the guide tells how many questions a day there are when they are used up', async () => {
  const { guide, gateway } = snippets();
  await guide.wechatLogin();
  gateway.before = ({ path }) => (path === '/api/v1/chat' ? { statusCode: 429, header: { 'RateLimit-Policy': '"quota";q=3;w=86400', RateLimit: '"quota";r=0;t=7200' }, data: { reason: 'quota_exceeded', message: '已用完' } } : undefined);
  /** @type {string[]} */
  const shown = [];
  await guide.askOrTell('?', () => {}, (/** @type {string} */ message) => shown.push(message));
  assert.deepEqual(shown, ['今天的 3 次用完了，2 小时后再来']);
});
