// The examples of Taro and uni-app against the real gateway: as a mini-program in the phone of the tests, and as a page
// in Chromium. Builds both by the compilers of the frameworks, which takes minutes: `make long WHAT=frameworks`.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startChromium, startPhone } from '../e2e/phone.mjs';
import { startWorld } from '../e2e/world.mjs';
import { PROJECTS, build, forPhone, install } from './project.mjs';

const H5 = 'http://h5.test/'; // another origin than the gateway's, which server.cors lets in

let world;
let browser;
before(async () => {
  world = await startWorld({ PAGE: new URL(H5).origin });
  browser = await startChromium();
}, { timeout: 300000 });
after(async () => {
  if (browser) await browser.close();
  if (world) await world.stop();
});

const REFRESHES = 'wxgate_authn_refreshes_total';
const button = (page, name) => page.getByText(name, { exact: false }).first();

for (const name of Object.keys(PROJECTS)) {
  test(`${name} installs`, { timeout: 900000 }, () => install(name));

  test(`${name}, as a mini-program: a guest's list, a login, likes, a token that expired, and a logout`, { timeout: 300000 }, async () => {
    const project = forPhone(build(name, 'weapp', 'http://gateway.test'));
    const phone = await startPhone(browser, { world, person: `${name}-phone`, project });
    await phone.sees('红烧肉');
    await phone.sees('未登录');
    await phone.picture(`${name}-weapp-guest`);
    await button(phone.top, '喜欢 0').tap();
    await phone.sees('请先登录');
    await button(phone.top, /^登录$/).tap();
    await phone.sees('你好');
    await button(phone.top, '喜欢 0').tap();
    await phone.sees('已喜欢 1');
    await phone.picture(`${name}-weapp-user`);
    const refreshes = await world.counted(REFRESHES);
    await phone.store('access_token', world.expired(await phone.storage('access_token')));
    await button(phone.top, '已喜欢 1').tap();
    await phone.top.getByText('已喜欢').waitFor({ state: 'detached' });
    assert.equal(await world.counted(REFRESHES), refreshes + 1);
    await phone.boot();
    await phone.sees('你好');
    await button(phone.top, '退出').tap();
    await phone.sees('未登录');
    assert.equal(await phone.storage('access_token'), '');
    phone.faults = phone.faults.filter((fault) => !fault.startsWith('The for-list data is neither')); // uni-app fills its data after the first render
    await phone.close();
  });

  test(`${name}, as a page in a browser: a guest's list, a code handed over, likes, a session that is over, and a logout`, { timeout: 300000 }, async () => {
    const folder = build(name, 'h5', world.base);
    const { page, faults } = await openPage(folder);
    const go = async (query = '') => {
      await page.goto('about:blank'); // or only the fragment would change
      await page.goto(`${H5}#/pages/index/index${query}`);
    };
    const sees = (text) => page.getByText(text).first().waitFor();
    await go();
    await sees('红烧肉');
    await sees('未登录');
    await button(page, '喜欢 0').click();
    await sees('请先登录');
    await page.screenshot({ path: new URL(`../output/${name}-h5-guest.png`, import.meta.url).pathname });
    await go(`?code=${await world.code(`${name}-browser`)}`);
    await sees('你好');
    await button(page, '喜欢 0').click();
    await sees('已喜欢 1');
    await page.screenshot({ path: new URL(`../output/${name}-h5-user.png`, import.meta.url).pathname });
    await go();
    await sees('你好');
    const token = () => page.evaluate(() => /eyJ[\w.-]+/.exec(localStorage.access_token)[0]); // Taro wraps it, uni-app does not
    const before = await token();
    await page.evaluate(([from, to]) => { localStorage.access_token = localStorage.access_token.replace(from, to); }, [before, world.expired(before)]);
    await button(page, '已喜欢 1').click();
    await page.getByText('已喜欢').waitFor({ state: 'detached' });
    assert.equal((await world.call('POST', '/api/v1/auth/logout', await token())).status, 200);
    await button(page, '喜欢 0').click();
    await sees('未登录');
    assert.equal(await page.evaluate(() => localStorage.access_token), undefined);
    await go(`?code=${await world.code(`${name}-browser`)}`);
    await sees('你好');
    await button(page, '退出').click();
    await sees('未登录');
    assert.equal(await page.evaluate(() => localStorage.access_token), undefined);
    assert.deepEqual(faults, []);
    await page.context().close();
  });
}

/** @param {string} folder the build that is served there */
async function openPage(folder) {
  const page = await browser.newPage({ viewport: { width: 390, height: 844 }, locale: 'zh-CN' });
  page.setDefaultTimeout(8000);
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  await page.route(`${H5}**`, (route) => {
    const file = path.join(folder, new URL(route.request().url()).pathname.replace(/\/$/, '/index.html'));
    return fs.existsSync(file) ? route.fulfill({ path: file }) : route.fulfill({ status: 404 });
  });
  return { page, faults };
}
