// What `wxgate demo` shows, in a desktop browser with a mouse: the committed build, behind the Go handler.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contrasts } from './looks.mjs';
import { openStage } from './stage.mjs';

const stage = openStage();

test('a newcomer without DevTools clicks through login, list and profile', async () => {
  const page = await stage.browser.newPage({ viewport: { width: 1100, height: 860 } });
  page.setDefaultTimeout(8000);
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  await page.goto(stage.world.demo);
  const top = page.locator('.wx-frame:not([hidden])');
  await top.getByText('红烧肉').waitFor();
  await top.getByRole('button', { name: '登录' }).click();
  await top.getByRole('button', { name: '选择头像' }).click();
  await top.locator('image').waitFor();
  await top.getByPlaceholder('请输入昵称').fill('新来的');
  await top.locator('.box').click();
  await page.locator('#person').selectOption('err-40029');
  await top.getByText('微信一键登录').click();
  await top.getByText('错误码 40029').waitFor();
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

test('a newcomer buys a recipe: the sandbox takes the money and pushes through the page to the gateway', async () => {
  const page = await stage.browser.newPage({ viewport: { width: 1100, height: 860 } });
  page.setDefaultTimeout(8000);
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  await page.goto(stage.world.demo);
  await page.locator('#person').selectOption('bob');
  const top = page.locator('.wx-frame:not([hidden])');
  const answer = () => page.locator('#modal').getByRole('button', { name: '确定' }).click();
  await top.getByText('清蒸鲈鱼').click();
  await top.getByText('购买做法').click();
  await top.locator('.box').click();
  await top.getByText('微信一键登录').click();
  await top.getByText('购买做法').click();
  await page.screenshot({ path: new URL('../output/demo-payment.png', import.meta.url).pathname });
  await answer();
  await top.getByText('水开后上锅').waitFor();
  await top.getByText('申请退款').click();
  await answer();
  await top.getByText('购买做法').waitFor();
  assert.deepEqual(faults, []);
});

test('a newcomer hears the chef piece by piece, stops it, exports the data and deletes the account', async () => {
  const page = await stage.browser.newPage({ viewport: { width: 1100, height: 860 } });
  page.setDefaultTimeout(8000);
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  await page.goto(stage.world.demo);
  const top = page.locator('.wx-frame:not([hidden])');
  await page.locator('#person').selectOption('bob');
  await top.getByText('红烧肉').waitFor();
  await top.getByRole('button', { name: '登录' }).click();
  await top.locator('.box').click();
  await top.getByText('微信一键登录').click();
  await top.getByText('问问大厨').click();
  await top.getByPlaceholder('红烧肉怎么做').fill('麻婆豆腐？');
  await top.getByText('问一问').click();
  await top.getByText('先备好').waitFor();
  await page.screenshot({ path: new URL('../output/demo-chef.png', import.meta.url).pathname });
  await top.getByText('停止').click();
  await top.getByText('问一问').waitFor();
  assert.doesNotMatch(await top.locator('.answer').textContent(), /4\. /);
  await page.getByLabel('返回').click();
  await top.getByText('我的').click();
  await top.getByText('导出数据').click();
  await top.getByText('"openid"').waitFor();
  await page.getByLabel('返回').click();
  await top.getByText('注销账号').click();
  for (const text of ['确定注销？', '即可撤回']) {
    await page.locator('#modal').getByText(text).waitFor();
    await page.locator('#modal').getByRole('button', { name: '确定' }).click();
  }
  await top.getByText('你好，欢迎来到食堂').waitFor();
  assert.deepEqual(faults, []);
});

const widths = { phone: { width: 375, height: 812 }, desktop: { width: 1280, height: 860 } };
const picture = (page, name) => page.screenshot({ fullPage: true, path: new URL(`../output/${name}.png`, import.meta.url).pathname });

for (const [name, viewport] of Object.entries(widths)) {
  for (const colorScheme of ['light', 'dark']) {
    test(`${name}, ${colorScheme}: nothing scrolls sideways, no band is left empty, and every text can be read`, async () => {
      const page = await stage.browser.newPage({ viewport, colorScheme });
      page.setDefaultTimeout(8000);
      await page.goto(stage.world.demo);
      const top = page.locator('.wx-frame:not([hidden])');
      await top.getByText('红烧肉').waitFor();
      const { scrolls, gap, beyond } = await page.evaluate(() => {
        const edge = (selector, side) => document.querySelector(selector).getBoundingClientRect()[side];
        const sides = [...document.querySelectorAll('#phone, aside, aside *')].filter((element) => element.getBoundingClientRect().right > innerWidth);
        return {
          scrolls: document.documentElement.scrollWidth - document.documentElement.clientWidth,
          gap: innerWidth < 800 ? edge('aside h1', 'top') - edge('#phone', 'bottom') : 0,
          beyond: sides.map((element) => `${element.localName}#${element.id}`),
        };
      });
      assert.deepEqual({ scrolls, beyond }, { scrolls: 0, beyond: [] });
      assert.ok(gap >= 0 && gap <= 48, `${gap} px between the phone and what is said of it`);
      assert.deepEqual(await contrasts(page.locator('body')), []);
      await picture(page, `demo-${name}-${colorScheme}`);
      await top.getByText('红烧肉').click();
      await top.getByText('分享海报').click();
      await page.getByAltText('海报').waitFor();
      assert.deepEqual(await contrasts(page.locator('#share')), [], 'the caption of the poster');
      await picture(page, `demo-${name}-${colorScheme}-poster`);
      await page.keyboard.press('Escape');
      await page.locator('#share').waitFor({ state: 'hidden' });
      await page.context().close();
    });
  }
}

test('the demo is logged into, and a recipe liked, by the keyboard alone', async () => {
  const page = await stage.browser.newPage({ viewport: widths.desktop });
  page.setDefaultTimeout(8000);
  await page.goto(stage.world.demo);
  const top = page.locator('.wx-frame:not([hidden])');
  const focused = () => page.evaluate(() => document.activeElement.getAttribute('aria-label') || document.activeElement.textContent.trim());
  const tabTo = async (wanted) => {
    const passed = [];
    for (let i = 0; i < 30; i++) {
      await page.keyboard.press('Tab');
      passed.push(await focused());
      if (wanted.test(passed[i])) return;
    }
    throw new Error(`Tab does not reach ${wanted}: ${passed.join(' | ')}`);
  };
  await top.getByText('红烧肉').waitFor();
  await tabTo(/^登录$/);
  await page.keyboard.press('Enter');
  const consent = top.getByRole('checkbox', { name: '我已阅读并同意' });
  await consent.waitFor();
  assert.equal(await consent.getAttribute('aria-checked'), 'false');
  await tabTo(/^我已阅读并同意/);
  await page.keyboard.press('Space');
  await page.waitForFunction(() => document.querySelector('[role=checkbox]').getAttribute('aria-checked') === 'true');
  await picture(page, 'demo-keyboard-consent');
  await tabTo(/隐私保护指引》$/);
  await tabTo(/^微信一键登录$/);
  await page.keyboard.press('Enter');
  await top.getByText('今天想吃点什么').waitFor();
  await tabTo(/^红烧肉$/);
  await picture(page, 'demo-keyboard-list');
  await page.keyboard.press('Enter');
  await top.getByText('做法').waitFor();
  await tabTo(/喜欢/);
  const before = await focused();
  await page.keyboard.press('Enter');
  await page.waitForFunction((text) => document.querySelector('.wx-frame:not([hidden]) .like').getAttribute('aria-label') !== text, before);
  await page.context().close();
});
