const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const http = require('node:http');
const Module = require('node:module');
const { after, before, beforeEach, test } = require('node:test');
const { createProxy } = require('../../cloudfunctions/api-proxy/proxy');
const { sign } = require('../../cloudfunctions/api-proxy/signature');
const { readSettings } = require('../../cloudfunctions/api-proxy/settings');

/** @type {{method: string, url: string, headers: any, body: string, bytes: Buffer}[]} */
const seen = [];
const sockets = new Set();
const upstream = http.createServer(async (request, response) => {
  sockets.add(request.socket);
  const parts = [];
  for await (const part of request) parts.push(part);
  const bytes = Buffer.concat(parts);
  seen.push({ method: request.method || '', url: request.url || '', headers: request.headers, body: bytes.toString(), bytes });
  const path = (request.url || '').split('?')[0];
  if (path === '/api/slow') return;
  if (path === '/api/stall') return void response.writeHead(200, { 'content-type': 'text/plain' }).write('half');
  if (path === '/api/reset') return void request.socket.destroy();
  if (path === '/api/large') return void response.end(Buffer.alloc(5000));
  if (path === '/api/echo') return void response.writeHead(200, { 'content-type': 'application/octet-stream', 'x-service': 'mine', connection: 'close', 'set-cookie': ['a=1', 'b=2'] }).end(bytes);
  if (path === '/api/picture') return void response.writeHead(200, { 'content-type': 'image/png' }).end(Buffer.from([137, 0, 255]));
  if (path === '/api/text') return void response.writeHead(200, { 'content-type': 'text/plain' }).end('你好');
  const status = Number(path.split('/').pop()) || 200;
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'x-request-id': 'r1', 'set-cookie': 'a=1' });
  response.end(JSON.stringify({ code: status }));
});

/** @type {(event?: any) => Promise<any>} */
let proxy;
/** @type {(changes?: object, caller?: () => object) => (event?: any) => Promise<any>} */
let made;

before(async () => {
  await new Promise((resolve) => { upstream.listen(0, '127.0.0.1', () => resolve(undefined)); });
  const { port } = /** @type {import('node:net').AddressInfo} */ (upstream.address());
  made = (changes = {}, caller = () => ({})) => createProxy(
    Object.assign(readSettings({ WXGATE_URL: `http://127.0.0.1:${port}`, WXGATE_TIMEOUT_MS: '30000', WXGATE_LARGEST: '4000' }), changes), caller);
  proxy = made();
});
beforeEach(() => { seen.length = 0; });
after(() => {
  upstream.closeAllConnections();
  upstream.close();
});

test('carries method, path, query, body and allowed headers, and brings back {statusCode, headers, data}', async () => {
  const answer = await proxy({
    method: 'post', path: '/api/v1/recipes?a=1', query: { q: '豆 腐' }, headers: { Authorization: 'Bearer t', 'X-Request-Id': 'mine' }, data: { title: '面' },
  });
  assert.deepEqual([answer.statusCode, answer.data, Object.keys(answer).length], [200, { code: 200 }, 3]);
  assert.deepEqual([answer.headers['content-type'], answer.headers['x-request-id'], answer.headers['set-cookie']], ['application/json; charset=utf-8', 'r1', 'a=1']);
  const [call] = seen;
  assert.deepEqual([call.method, call.url, call.body], ['POST', '/api/v1/recipes?a=1&q=%E8%B1%86+%E8%85%90', '{"title":"面"}']);
  assert.deepEqual([call.headers.authorization, call.headers['content-type'], call.headers['x-request-id']], ['Bearer t', 'application/json', 'mine']);
});

test('a picture goes to the service and comes back byte for byte', async () => {
  const picture = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const event = { method: 'POST', path: '/api/echo', headers: { 'Content-Type': 'image/png' }, body: picture.toString('base64'), isBase64Encoded: true };
  const answer = await proxy(event);
  assert.deepEqual(seen[0].bytes, picture);
  assert.deepEqual([answer.data, answer.isBase64Encoded], [picture.toString('base64'), true]);
});

test('text that was asked for as bytes comes as bytes, JSON that was asked for as text as text', async () => {
  const echo = { method: 'POST', path: '/api/echo', data: { title: '面' } };
  const { data, isBase64Encoded } = await proxy({ ...echo, responseType: 'arraybuffer' });
  assert.deepEqual([Buffer.from(data, 'base64').toString(), isBase64Encoded], ['{"title":"面"}', true]);
  assert.equal((await proxy({ ...echo, dataType: 'text' })).data, '{"title":"面"}');
  assert.deepEqual((await proxy(echo)).data, { title: '面' });
});

test('an object is a form when the caller says that it is one', async () => {
  await proxy({ method: 'POST', path: '/api/x', headers: { 'content-type': 'application/x-www-form-urlencoded' }, data: { title: '豆 腐', n: 1 } });
  assert.equal(seen[0].body, 'title=%E8%B1%86+%E8%85%90&n=1');
});

test('headers that a service knows pass both ways, whoever invented them, and those of a connection do not', async () => {
  const theirs = { 'X-Client-Version': '1.2.3', 'X-Tenant': 't1', Cookie: 'a=1', 'Idempotency-Key': 'k', Range: 'bytes=0-9', 'x-app-id': 'wx1' };
  const answer = await proxy({ method: 'POST', path: '/api/echo', headers: theirs });
  for (const [name, value] of Object.entries(theirs)) assert.equal(seen[0].headers[name.toLowerCase()], value, name);
  assert.deepEqual([answer.headers['x-service'], answer.headers['set-cookie'], answer.headers.connection], ['mine', 'a=1,b=2', undefined]);
});

test('body and data are the same thing', async () => {
  await proxy({ method: 'PUT', path: '/api/x', body: 'plain', headers: { 'content-type': 'text/plain' } });
  await proxy({ method: 'PUT', path: '/api/x', body: Buffer.from('bytes').toString('base64'), isBase64Encoded: true });
  assert.deepEqual(seen.map((call) => call.body), ['plain', 'bytes']);
});

test('headers of identity, of proxies and of the connection stay behind', async () => {
  const forged = ['X-User-Id', 'x-user-openid', 'X-WX-OPENID', 'x-wx-source', 'X-Wxgate-Openid', 'x-wxgate-signature', 'X-Forwarded-For', 'Forwarded', 'X-Real-IP', 'X-Client-IP',
    'True-Client-IP', 'CF-Connecting-IP', 'X-Originating-Ip', 'X-Remote-Addr', 'Remote-User', 'X-Envoy-External-Address', 'X-Original-URL', 'Host', 'Connection',
    'Proxy-Authorization', 'Transfer-Encoding', 'Accept-Encoding', 'Expect', 'Content-Length', 'TE', 'Upgrade'];
  await proxy({ path: '/api/x', headers: Object.fromEntries(forged.map((name) => [name, 'evil'])) });
  assert.ok(!JSON.stringify(seen[0].headers).includes('evil'));
});

for (const status of [400, 401, 404, 409, 429, 500, 503]) {
  test(`${status} is data, not an exception`, async () => {
    assert.deepEqual((await proxy({ path: `/api/${status}` })).data, { code: status });
  });
}

const elsewhere = [
  '', 'api/x', '/admin', '/metrics', '/apix', '//evil.example/api/', 'http://evil.example/api/', 'https:/evil.example/api/',
  '/\\evil.example/api/', '\\\\evil.example', '/api/../metrics', '/api/./x', '/api/..', '/api/%2e%2e/metrics', '/api/%2E./metrics',
  '/api/.%2e/metrics', '/api/..%2fmetrics', '/api/%5c..', '/api//x', '/api/\nx', '/api/\tx', '/api/ x', '/api/%00', '@evil.example/api/', '/%61pi/x',
];
for (const path of elsewhere) {
  test(`no relay: ${JSON.stringify(path)} is refused`, async () => {
    const answer = await proxy({ path });
    assert.deepEqual([answer.statusCode, answer.data.reason, seen.length], [400, 'invalid_request', 0]);
  });
}

test('no relay: nothing in an event names another upstream', async () => {
  await proxy({ path: '/api/x', url: 'http://evil.example', baseUrl: 'http://evil.example', host: 'evil.example', upstream: 'http://evil.example' });
  assert.match(seen[0].headers.host, /^127\.0\.0\.1:/);
});

test('HEAD and OPTIONS are methods like others', async () => {
  for (const method of ['HEAD', 'options']) assert.equal((await proxy({ method, path: '/api/x' })).statusCode, 200);
  assert.deepEqual(seen.map((call) => [call.method, call.body]), [['HEAD', ''], ['OPTIONS', '']]);
});

for (const method of ['CONNECT', 'TRACE', 'get x', 'FOO']) {
  test(`the method ${method} is refused`, async () => {
    assert.equal((await proxy({ method, path: '/api/x' })).statusCode, 400);
    assert.equal(seen.length, 0);
  });
}

test('PATCH passes as a POST that says so, and no other method does', async () => {
  await proxy({ method: 'POST', path: '/api/x', headers: { 'X-HTTP-Method-Override': 'PATCH' }, data: {} });
  assert.deepEqual([seen[0].method, seen[0].headers['x-http-method-override']], ['POST', 'PATCH']);
  assert.equal((await proxy({ method: 'POST', path: '/api/x', headers: { 'X-HTTP-Method-Override': 'DELETE' } })).statusCode, 400);
});

test('a header with a line break is refused', async () => {
  assert.equal((await proxy({ path: '/api/x', headers: { Authorization: 'a\r\nX-User-Id: 1' } })).statusCode, 400);
});

test('bytes come back as base64, text as text', async () => {
  const { statusCode, data, isBase64Encoded } = await proxy({ path: '/api/picture' });
  assert.deepEqual([statusCode, data, isBase64Encoded], [200, 'iQD/', true]);
  assert.equal((await proxy({ path: '/api/text' })).data, '你好');
});

test('an answer that is slow, stalls, breaks off or is too large is an answer of ours', async () => {
  const reasons = { slow: [504, 'upstream_timeout'], stall: [504, 'upstream_timeout'], reset: [502, 'upstream_reset'], large: [502, 'upstream_invalid'] };
  for (const [path, want] of Object.entries(reasons)) {
    const { statusCode, data } = await made({ timeout: want[0] === 504 ? 200 : 30000 })({ path: `/api/${path}` });
    assert.deepEqual([statusCode, data.code, data.reason], [want[0], want[0], want[1]], path);
  }
  assert.equal(seen.length, 4, 'nothing is sent twice');
});

test('only a gateway that was not reached is upstream_connect: whoever reads that may send again', async () => {
  const nobody = http.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => { nobody.once('listening', () => resolve(undefined)); });
  const { port } = /** @type {import('node:net').AddressInfo} */ (nobody.address());
  await new Promise((resolve) => { nobody.close(resolve); });
  const call = { method: 'POST', path: '/api/x', data: {} };
  assert.equal((await made({ upstream: new URL(`http://127.0.0.1:${port}`) })(call)).data.reason, 'upstream_connect');
  assert.equal((await made({ upstream: new URL('http://nowhere.invalid'), timeout: 30000 })(call)).data.reason, 'upstream_connect');
  await proxy({ path: '/api/x' }); // so that a connection is kept
  assert.equal((await proxy(Object.assign({}, call, { path: '/api/reset' }))).data.reason, 'upstream_reset');
});

test('a TLS that fails is a gateway that was not reached', async () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (upstream.address());
  const tls = made({ upstream: new URL(`https://127.0.0.1:${port}`) });
  assert.equal((await tls({ method: 'POST', path: '/api/x', data: {} })).data.reason, 'upstream_connect');
});

test('its timeout is below the function\'s own 3 seconds', () => {
  assert.ok(readSettings({ WXGATE_URL: 'https://gw.example' }).timeout < 3000);
});

test('twenty calls in a row use one connection, and none after a long sleep', async (t) => {
  sockets.clear();
  for (let i = 0; i < 20; i++) await proxy({ path: '/api/x' });
  assert.ok(sockets.size <= 2, `${sockets.size} connections`);
  const later = Date.now() + 60000;
  t.mock.method(Date, 'now', () => later);
  const before = sockets.size;
  await proxy({ path: '/api/x' });
  assert.equal(sockets.size, before + 1);
});

test('the signature is that of the vector by which the gateway is tested', () => {
  const { headers, ...call } = require('../../../authn/testdata/cloud-function.json');
  assert.deepEqual(sign(call), headers);
});

test('with a secret the caller is signed, with all that the signature covers', async () => {
  const signing = made({ secret: 's3cret' }, () => ({ OPENID: 'o_1', APPID: 'wx1' }));
  await signing({ method: 'POST', path: '/api/v1/auth/cloud-login?x=1', headers: { 'x-wxgate-openid': 'evil' }, data: { nickName: '小厨' } });
  const [{ headers }] = seen;
  const content = crypto.createHash('sha256').update('{"nickName":"小厨"}').digest('hex');
  const text = ['v2', headers['x-wxgate-timestamp'], 'wx1', 'o_1', 'POST', '/api/v1/auth/cloud-login?x=1', content].join('\n');
  assert.equal(headers['x-wxgate-signature-v2'], crypto.createHmac('sha256', 's3cret').update(text).digest('hex'));
  assert.equal(headers['x-wxgate-content-sha256'], content);
  assert.deepEqual([headers['x-wxgate-openid'], headers['x-wxgate-appid']], ['o_1', 'wx1']);
  assert.ok(Math.abs(Date.now() / 1000 - headers['x-wxgate-timestamp']) < 5);
});

test('a function that was not told where the gateway is does not start', () => {
  assert.throws(() => readSettings({}), /WXGATE_URL is not set/);
});

test('nor one whose settings would not mean what they say', () => {
  const gateway = { WXGATE_URL: 'https://gw.example' };
  for (const [wrong, name] of /** @type {[object, string][]} */ ([
    [{ WXGATE_URL: 'https://gw.example/base' }, 'WXGATE_URL'], [{ WXGATE_URL: 'gw.example' }, 'WXGATE_URL'], [{ WXGATE_URL: 'gw.example:8080' }, 'WXGATE_URL'],
    [{ WXGATE_TIMEOUT_MS: '2.5s' }, 'WXGATE_TIMEOUT_MS'], [{ WXGATE_TIMEOUT_MS: '0' }, 'WXGATE_TIMEOUT_MS'], [{ WXGATE_LARGEST: '1MB' }, 'WXGATE_LARGEST'],
    [{ WXGATE_PREFIX: 'api/' }, 'WXGATE_PREFIX'],
  ])) assert.throws(() => readSettings(Object.assign({}, gateway, wrong)), new RegExp(name), JSON.stringify(wrong));
  assert.equal(readSettings({ WXGATE_URL: 'https://gw.example/' }).upstream.origin, 'https://gw.example');
});

test('an event of any kind gets an answer', async () => {
  for (const event of [null, 7, 'x', [], { path: {} }, { path: '/api/x', headers: null, query: null }, { path: '/api/x', headers: { a: null } }]) {
    const answer = await proxy(event);
    assert.ok([200, 400].includes(answer.statusCode), `${JSON.stringify(event)}: ${answer.statusCode}`);
  }
});

test('without a secret, or without a caller, nothing is signed', async () => {
  await made({}, () => ({ OPENID: 'o_1' }))({ path: '/api/x' });
  await made({ secret: 's' })({ path: '/api/x' });
  assert.ok(!JSON.stringify(seen).includes('x-wxgate-'));
});

test('the function itself: settings of the environment, openid of the SDK', async (t) => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (upstream.address());
  const environment = { WXGATE_URL: `http://127.0.0.1:${port}`, WXGATE_SECRET: 's3cret' };
  Object.assign(process.env, environment);
  t.after(() => { for (const name of Object.keys(environment)) delete process.env[name]; });
  const sdk = { init() {}, DYNAMIC_CURRENT_ENV: 'env', getWXContext: () => ({ OPENID: 'o_2', APPID: 'wx2' }) };
  const load = /** @type {any} */ (Module)._load;
  t.mock.method(/** @type {any} */ (Module), '_load', (/** @type {string} */ name, /** @type {any[]} */ ...rest) => (name === 'wx-server-sdk' ? sdk : load(name, ...rest)));
  const { main } = require('../../cloudfunctions/api-proxy/index');
  assert.equal((await main({ path: '/api/x' })).statusCode, 200);
  assert.equal(seen[0].headers['x-wxgate-openid'], 'o_2');
});
