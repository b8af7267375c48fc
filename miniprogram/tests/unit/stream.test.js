const assert = require('node:assert/strict');
const { test } = require('node:test');
const { held, refusal, startApp, success } = require('./phone');

const ASK = '/api/v1/assistant';
const REFRESH = '/api/v1/auth/refresh';
const LOGIN = '/api/v1/auth/wx-login';
const TEXT = { 'Content-Type': 'text/plain; charset=utf-8' };

/** A logged-in phone whose gateway answers a question with these chunks. @param {any} chunks */
async function asking(chunks, options = {}) {
  const app = startApp(options);
  await app.client.wechatLogin();
  app.gateway.before = ({ path, header }) => (path === ASK && app.gateway.live.has(header.Authorization.slice(7)) ? { statusCode: 200, header: TEXT, chunks } : undefined);
  /** @type {any[]} */
  const heard = [];
  const onChunk = (/** @type {any} */ chunk) => heard.push(chunk);
  return Object.assign(app, { heard, ask: (/** @type {any} */ more = {}) => app.client.stream({ url: ASK, method: 'POST', data: { question: '?' }, onChunk, ...more }) });
}

test('chunks are handed on as they come, and the promise resolves when all have', async () => {
  const second = held();
  const { ask, heard, phone } = await asking((async function* () {
    yield '先焯水，';
    await second.promise;
    yield '再小火炖。';
  }()));
  const answer = ask();
  await new Promise((resolve) => { setTimeout(resolve, 5); });
  assert.deepEqual(heard, ['先焯水，']);
  second.release();
  assert.equal((await answer).statusCode, 200);
  assert.deepEqual(heard, ['先焯水，', '再小火炖。']);
  const { method, data, header, enableChunked, timeout } = phone.given[phone.given.length - 1];
  assert.deepEqual([method, data, header.Authorization, enableChunked, timeout], ['POST', { question: '?' }, 'Bearer token-1', true, 300000]);
});

test('a character that is spread over chunks, wherever it is cut, is one character', async () => {
  const text = 'aé面𠮷。';
  const bytes = Buffer.from(text);
  for (let first = 0; first <= bytes.length; first += 1) {
    for (let second = first; second <= bytes.length; second += 1) {
      const { ask, heard } = await asking([bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)]);
      await ask();
      assert.equal(heard.join(''), text, `cut at ${first} and ${second}`);
    }
  }
});

test('what is no UTF-8 is marked and breaks nothing', async () => {
  const { ask, heard } = await asking([Buffer.from([0xff, 0xfe]), '好', Buffer.from([0xe9, 0x9d])]);
  await ask();
  assert.equal(heard.join(''), '\ufffd好');
});

test('who asks for an arraybuffer is given bytes', async () => {
  const { ask, heard } = await asking([Buffer.from([0xe9]), Buffer.from([0x9d, 0xa2])]);
  await ask({ responseType: 'arraybuffer' });
  assert.deepEqual(heard.map((bytes) => [...new Uint8Array(bytes)]), [[0xe9], [0x9d, 0xa2]]);
});

for (const kind of ['phone', 'devtools', 'mac', 'late']) {
  test(`${kind}: a refusal is an error with its reason, and no chunk`, async () => {
    const { ask, heard, gateway, phone } = await asking([]);
    phone.kind = kind;
    for (const [status, reason] of /** @type {[number, string][]} */ ([[429, 'quota_exceeded'], [422, 'content_risky'], [503, 'breaker_open']])) {
      const cut = JSON.stringify(refusal(status, reason).data);
      gateway.before = () => ({ statusCode: status, header: { 'Content-Type': 'application/json', 'Retry-After': '60' }, chunks: [cut.slice(0, 20), cut.slice(20)] });
      await assert.rejects(ask(), (/** @type {any} */ error) => {
        assert.deepEqual([error.code, error.reason, error.message, error.requestId, error.header['retry-after'], error.body.reason], [status, reason, `拒绝：${reason}`, 'r1', '60', reason]);
        return true;
      });
    }
    assert.deepEqual(heard, []);
  });

  test(`${kind}: an answer is an answer, also one that is JSON`, async () => {
    const { ask, heard, gateway, phone } = await asking(['一', '二']);
    phone.kind = kind;
    await ask();
    assert.deepEqual(heard.splice(0), ['一', '二']);
    gateway.before = () => ({ statusCode: 200, header: { 'Content-Type': 'application/json' }, chunks: ['{"a":', '1}'] });
    await ask();
    assert.deepEqual(heard, ['{"a":', '1}']);
  });
}

test('a 401 is met by one refresh before the first chunk, and the answer is heard once', async () => {
  for (const kind of ['phone', 'devtools']) {
    const { ask, heard, gateway, phone } = await asking(['好']);
    phone.kind = kind;
    gateway.live.clear();
    await ask();
    assert.deepEqual([heard, gateway.count(ASK), gateway.count(REFRESH), gateway.count(LOGIN)], [['好'], 2, 1, 1], kind);
  }
});

test('a 401 that no refresh helps is met by one silent login, and a second 401 is the answer', async () => {
  const { ask, heard, gateway } = await asking(['好']);
  gateway.live.clear();
  gateway.refreshes = false;
  await ask();
  assert.deepEqual([heard, gateway.count(ASK), gateway.count(LOGIN)], [['好'], 2, 2]);
  gateway.before = ({ path }) => (path === ASK ? refusal(401, 'token_expired') : undefined);
  await assert.rejects(ask(), { code: 401, reason: 'token_expired' });
  assert.deepEqual([heard, gateway.count(ASK), gateway.count(LOGIN)], [['好'], 4, 3]);
});

test('a refused silent login is the error, not the 401 that led to it', async () => {
  const { ask, gateway } = await asking(['好']);
  gateway.live.clear();
  gateway.refreshes = false;
  gateway.before = ({ path }) => (path === LOGIN ? refusal(403, 'user_banned') : undefined);
  await assert.rejects(ask(), { code: 403, reason: 'user_banned' });
});

test('an answer that breaks off is an error and is not asked for again', async () => {
  const { ask, heard, gateway } = await asking((async function* () {
    yield '先';
    throw new Error('net::ERR_CONNECTION_RESET');
  }()));
  await assert.rejects(ask(), { code: 0, reason: 'network', errMsg: 'request:fail net::ERR_CONNECTION_RESET' });
  assert.deepEqual([heard, gateway.count(ASK)], [['先'], 1]);
});

test('abort() ends it, and nothing is heard afterwards, even from a simulator that goes on', async () => {
  for (const stops of [true, false]) {
    const more = held();
    const { ask, heard, phone } = await asking((async function* () {
      yield '先';
      await more.promise;
      yield '后';
    }()));
    let aborted = 0;
    phone.taskOf = (/** @type {any} */ task) => ({ ...task, abort: () => { aborted += 1; if (stops) task.abort(); } });
    const answer = ask();
    await new Promise((resolve) => { setTimeout(resolve, 5); });
    answer.abort();
    more.release();
    if (stops) await assert.rejects(answer, { code: 0, reason: 'aborted', message: '请求已取消' });
    else await answer;
    assert.deepEqual([heard, aborted], [['先'], 1]);
  }
});

test('abort() while the token is renewed leaves nothing to hear', async () => {
  const { ask, heard, gateway } = await asking(['好']);
  const refresh = held();
  gateway.live.clear();
  const before = gateway.before;
  gateway.before = (call) => (call.path === REFRESH ? refresh.promise : before(call));
  const answer = ask();
  await new Promise((resolve) => { setTimeout(resolve, 5); });
  answer.abort();
  refresh.release();
  await assert.rejects(answer, { reason: 'aborted' });
  assert.deepEqual(heard, []);
});

test('where no chunks can be had, it says so', async () => {
  const { ask, heard, phone } = await asking(['好']);
  phone.taskOf = ({ abort }) => ({ abort });
  await assert.rejects(ask(), { code: 0, reason: 'unsupported', message: '当前环境不支持流式输出' });
  assert.deepEqual(heard, []);
});

test('in a cloud project it goes to baseUrl by wx.request, which alone has chunks', async () => {
  const { ask, heard, phone, client } = await asking(['好'], { transport: 'container', env: 'prod-1', service: 'wxgate' });
  phone.calls.length = 0;
  await ask();
  assert.deepEqual([phone.calls, heard], [['request'], ['好']]);
  client.configure({ baseUrl: '' });
  await assert.rejects(ask(), { reason: 'config', message: '没有配置 baseUrl' });
});

test('a quota that is used up is told in numbers, whatever else counts', async () => {
  const { client, gateway } = startApp();
  const limits = (/** @type {string} */ policy, /** @type {string} */ left) => {
    gateway.before = () => ({ ...refusal(429, 'quota_exceeded'), header: { 'RateLimit-Policy': policy, RateLimit: left } });
    return client.request({ url: '/api/v1/public' }).then(assert.fail, (error) => error.quota);
  };
  assert.deepEqual(await limits('"user-day";q=20;w=86400', '"user-day";r=0;t=3600'), { limit: 20, reset: 3600 });
  assert.deepEqual(await limits('"user";q=60;w=6, "user-day";q=20;w=86400', '"user";r=59;t=1, "user-day";r=0;t=7'), { limit: 20, reset: 7 });
  assert.equal(await limits('"user";q=60;w=6', '"user";r=5;t=1'), undefined);
  gateway.before = () => refusal(429, 'too_many_held');
  assert.equal((await client.request({ url: '/api/v1/public' }).then(assert.fail, (error) => error)).quota, undefined);
  gateway.before = () => success({});
});
