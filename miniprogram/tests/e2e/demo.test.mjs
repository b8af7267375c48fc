// What `wxgate demo` shows, in a desktop browser with a mouse: the committed build, behind the Go handler.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startChromium } from './phone.mjs';
import { startWorld } from './world.mjs';

let world;
let browser;
before(async () => {
  world = await startWorld();
  browser = await startChromium();
}, { timeout: 300000 });
after(async () => {
  if (browser) await browser.close();
  if (world) await world.stop();
});

test('a newcomer without DevTools clicks through login, list and profile', async () => {
  const page = await browser.newPage({ viewport: { width: 1100, height: 860 } });
  page.setDefaultTimeout(8000);
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  await page.goto(world.demo);
  const top = page.locator('.wx-frame:not([hidden])');
  await top.getByText('红烧肉').waitFor();
  await top.getByRole('button', { name: '登录' }).click();
  await top.getByRole('button', { name: '选择头像' }).click();
  await top.locator('image').waitFor();
  await top.getByPlaceholder('请输入昵称').fill('新来的');
  await top.locator('.box').click();
  await page.locator('#person').selectOption('err-40029');
  await top.getByText('微信一键登录').click();
  await top.getByText('错误码: 40029').waitFor();
  await page.locator('#person').selectOption('alice');
  await top.getByText('微信一键登录').click();
  await top.getByText('新来的').waitFor();
  await top.locator('image.face').waitFor();
  await page.screenshot({ path: new URL('../output/demo.png', import.meta.url).pathname });
  await top.getByText('红烧肉').click();
  await top.getByText('喜欢 ♥').click();
  await top.getByText('1 人喜欢').waitFor();
  await page.getByLabel('返回').click();
  await top.getByText('我的').click();
  await top.getByText('绑定手机号').click();
  await top.getByText(/\d{3}\*{4}\d{4}/).waitFor();
  await top.getByPlaceholder('介绍一下自己').fill('爱做菜');
  await top.getByText('保存').click();
  await page.locator('#toast', { hasText: '已保存' }).waitFor();
  assert.equal(await top.getByPlaceholder('介绍一下自己').inputValue(), '爱做菜');
  await page.screenshot({ path: new URL('../output/demo-profile.png', import.meta.url).pathname });
  await page.locator('#offline').check();
  await page.getByLabel('返回').click();
  await top.getByText('网络不可用').waitFor();
  assert.deepEqual(faults, []);
});
