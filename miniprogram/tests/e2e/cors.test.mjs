// Pages on other origins than the API, in a real browser: it asks by preflights, and keeps from scripts what CORS does not allow.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { startChromium } from './phone.mjs';
import { startWorld } from './world.mjs';

let world;
let browser;
let pages;
before(async () => {
  pages = http.createServer((_, response) => { response.setHeader('Content-Type', 'text/html'); response.end('<title>page</title>'); });
  await new Promise((resolve) => { pages.listen(0, '127.0.0.1', resolve); });
  world = await startWorld({ PAGE: `http://admin.localhost:${pages.address().port}` });
  browser = await startChromium();
}, { timeout: 300000 });
after(async () => {
  if (browser) await browser.close();
  if (world) await world.stop();
  pages.close();
});

async function open(host) {
  const page = await browser.newPage();
  await page.goto(`http://${host}:${pages.address().port}/`);
  return page;
}

// call is fetch in the page: what its script can read, or the name of the error that it gets.
const call = (page, target, options) => page.evaluate(async ([url, init]) => {
  try {
    const response = await fetch(url, init);
    return { status: response.status, id: response.headers.get('X-Request-Id'), data: await response.json() };
  } catch (error) {
    return error.name;
  }
}, [world.base + target, options]);

test('a page of an allowed origin logs in, calls, and reads what is refused', async () => {
  const page = await open('admin.localhost');
  const json = { 'Content-Type': 'application/json' };
  const login = await call(page, '/api/v1/auth/wx-login', { method: 'POST', headers: json, body: JSON.stringify({ code: await world.code('alice') }) });
  assert.equal(login.status, 200);
  const authorized = Object.assign({ Authorization: `Bearer ${login.data.data.access_token}` }, json);
  const profile = await call(page, '/api/v1/user/profile', { method: 'PUT', headers: authorized, body: '{"bio":"爱做菜"}' });
  assert.deepEqual([profile.status, profile.data.data.bio], [200, '爱做菜']);
  assert.equal((await call(page, '/api/v1/recipes', { headers: authorized })).status, 200);
  const refused = await call(page, '/api/v1/favorites', { headers: { Authorization: 'Bearer x.y.z' } });
  assert.deepEqual([refused.status, refused.data.request_id], [401, refused.id]);
  assert.equal((await call(page, '/nowhere', { method: 'DELETE' })).data.reason, 'no_route');
});

test('a page of another origin reads nothing and sends nothing that needs a preflight', async () => {
  const page = await open('evil.localhost');
  assert.equal(await call(page, '/api/v1/recipes'), 'TypeError');
  assert.equal(await call(page, '/api/v1/user/profile', { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: '{}' }), 'TypeError');
});
