// A phone: the mini-program in headless Chromium. Its requests leave from Node as real HTTP, so that no browser rule
// stands between it and the gateway.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { firstMessage } from './live.mjs';
import { script, styles } from '../../scripts/build.mjs';
import { findChromium } from '../../scripts/chromium.mjs';

const CHROMIUM = findChromium();
const OUTPUT = fileURLToPath(new URL('../output/', import.meta.url));
const html = fs.readFileSync(new URL('../../demo/src/phone.html', import.meta.url), 'utf8');
const AVATAR = 'data:image/svg+xml,' + encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" width="300" height="200"><rect width="300" height="200" fill="#e0a33b"/><circle cx="150" cy="100" r="70" fill="#fff3d6"/><circle cx="125" cy="85" r="9"/><circle cx="175" cy="85" r="9"/><path d="M120 120q30 30 60 0" stroke="#000" stroke-width="8" fill="none"/></svg>');

let example;

export async function startChromium() {
  if (!CHROMIUM) throw new Error('there is no Chromium: scripts/prepare.sh installs one, CHROMIUM names one');
  fs.mkdirSync(OUTPUT, { recursive: true });
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu', '--in-process-gpu', '--disable-features=LocalNetworkAccessChecks'] });
}

/**
 * @param {{world: any, person: string, dark?: boolean, privacy?: boolean, project?: {script: string, styles: string}}} owner
 * project is another mini-program than the example
 */
export async function startPhone(browser, owner) {
  example ||= { script: script(), styles: styles() };
  const screen = unused.get(browser)?.pop() || await newScreen(browser);
  const phone = new Phone(screen, owner);
  await phone.page.emulateMedia({ colorScheme: owner.dark ? 'dark' : 'light' });
  await phone.boot();
  return phone;
}

/** Screens of a browser that are erased, for the next phone: a new one takes four times as long. */
const unused = new WeakMap();

/** @returns {Promise<{page: any, phone?: Phone}>} a page of Chromium, for one phone at a time */
async function newScreen(browser) {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true, locale: 'zh-CN' });
  context.setDefaultTimeout(8000);
  const screen = { page: await context.newPage() };
  screen.page.on('pageerror', (error) => screen.phone.faults.push(error.message));
  screen.page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) screen.phone.faults.push(message.text()); });
  await screen.page.exposeFunction('hostOfTheTest', async (name, argument) => {
    try {
      return { value: await screen.phone[`host_${name}`](argument) };
    } catch (error) {
      return { error: error.message };
    }
  });
  await context.route('http://miniprogram.test/**', (route) => {
    const { pathname } = new URL(route.request().url());
    const { project } = screen.phone;
    const files = { '/': ['text/html', html.replace('<!-- scripts -->', '<script src="phone.js"></script>')], '/phone.js': ['text/javascript', project.script], '/phone.css': ['text/css', project.styles] };
    const [contentType, body] = files[pathname] || ['text/plain', ''];
    return route.fulfill({ contentType: `${contentType}; charset=utf-8`, body });
  });
  return screen;
}

class Phone {
  constructor(screen, owner) {
    Object.assign(this, { screen, page: screen.page, owner, project: owner.project || example, world: owner.world, online: true, requests: [], faults: [], held: [], streams: new Map() });
    this.nextCode = '';
    screen.phone = this;
  }

  /** Opens the mini-program, as after a cold start: storage is what it was. */
  async boot() {
    await this.page.goto('http://miniprogram.test/');
    await this.page.evaluate((privacy) => {
      phone.host = async (name, argument) => {
        const { value, error } = await window.hostOfTheTest(name, argument);
        if (error) throw new Error(error);
        return value;
      };
      phone.privacy.needed = privacy;
      phone.start();
    }, Boolean(this.owner.privacy));
  }

  host_login() {
    const code = this.nextCode;
    this.nextCode = '';
    return code || this.world.code(this.owner.person);
  }

  async host_pay(payment) {
    const body = JSON.stringify({ person: this.owner.person, push: `${this.world.base}/wechat/push`, ...payment });
    return (await fetch(`${this.world.wechat}/sandbox/virtual-pay`, { method: 'POST', body })).json();
  }

  host_chooseAvatar() {
    return { path: 'http://tmp/avatar.svg', data: AVATAR };
  }

  async host_getPhoneNumber() {
    return { errMsg: 'getPhoneNumber:ok', code: await this.world.code(this.owner.person, 'phone-code') };
  }

  host_getWeRunData() {
    return this.world.sealed(this.owner.person, 'werun');
  }

  async host_request({ url, method, header, data }) {
    const body = method === 'GET' || data === undefined ? '' : JSON.stringify(data);
    const hold = this.held.find(({ taken, target }) => !taken && target === `${method} ${new URL(url).pathname}`);
    if (hold) hold.taken = true;
    const answer = await this.send(url, method, Object.assign(body ? { 'content-type': 'application/json' } : {}, header), body);
    const failure = hold && await hold.until(answer);
    if (failure) throw failure;
    return { statusCode: answer.statusCode, header: answer.header, data: parsed(answer.text) };
  }

  /** What comes is told to the phone as it comes; the promise is the end. */
  async host_stream({ id, url, method, header, data }) {
    const body = JSON.stringify(data);
    const { response, request } = await this.open(url, method, { 'content-type': 'application/json', ...header }, body);
    this.streams.set(id, request);
    const tell = (event, told) => this.page.evaluate(([stream, name, what]) => phone.heard(stream, name, what), [id, event, told]);
    const head = { statusCode: response.statusCode, header: response.headers };
    await tell('head', head);
    for await (const chunk of response) await tell('chunk', chunk.toString('base64'));
    return head;
  }

  host_abort(id) {
    if (this.streams.has(id)) this.streams.get(id).destroy();
  }

  async host_upload({ url, name, header, file, filePath }) {
    const boundary = `----wx${Date.now()}`;
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${name}"; filename="${filePath.split('/').pop()}"\r\nContent-Type: image/png\r\n\r\n`;
    const bytes = Buffer.from(file.split(',')[1], 'base64');
    const body = Buffer.concat([Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)]);
    const type = { 'content-type': `multipart/form-data; boundary=${boundary}` };
    const answer = await this.send(url, 'POST', Object.assign(type, header), body);
    return { statusCode: answer.statusCode, data: answer.text };
  }

  host_socket({ url, header }) {
    return firstMessage(this.world.base + new URL(url).pathname, header);
  }

  /** The example asks config.develop.baseUrl; the gateway of the test listens elsewhere. */
  async send(url, method, header, body) {
    const { response } = await this.open(url, method, header, body);
    let text = '';
    for await (const part of response.setEncoding('utf8')) text += part;
    return { statusCode: response.statusCode, header: response.headers, text };
  }

  open(url, method, header, body) {
    const { pathname, search } = new URL(url);
    this.requests.push(`${method} ${pathname}`);
    if (!this.online) throw new Error('net::ERR_INTERNET_DISCONNECTED');
    const headers = Object.assign({
      referer: 'https://servicewechat.com/wx0000000000demo00/devtools/page-frame.html', 'user-agent': 'Mozilla/5.0 (iPhone) MicroMessenger/8.0.50 MiniProgramEnv',
      'content-length': Buffer.byteLength(body),
    }, header);
    return new Promise((resolve, reject) => {
      const request = http.request(this.world.base + pathname + search, { method, headers }, (response) => resolve({ response, request }));
      request.on('error', reject);
      request.end(body);
    });
  }

  /**
   * The next answer to `METHOD /path` is kept back: `arrived` tells that the gateway gave it, `release` lets it through, or an
   * error instead.
   */
  hold(target) {
    const hold = { target, taken: false };
    hold.arrived = new Promise((arrived) => {
      hold.until = (answer) => new Promise((release) => {
        hold.release = release;
        arrived(answer);
      });
    });
    this.held.push(hold);
    return hold;
  }

  /** What has arrived has been taken in: two turns through the phone and back. */
  async settled() {
    for (let i = 0; i < 2; i++) await this.page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); }));
  }

  /** The element of the page on top. */
  get top() {
    return this.page.locator('.wx-frame:not([hidden])');
  }

  async tap(text) {
    await this.top.getByText(text, { exact: false }).first().tap();
  }

  async sees(text) {
    await this.top.getByText(text).first().waitFor();
  }

  async toast(text) {
    await this.page.locator('#toast', { hasText: text }).waitFor();
  }

  async isAt(path) {
    await this.page.waitForFunction((wanted) => phone.pages.path === wanted, path);
  }

  /** Airplane mode, as WeChat tells the pages about it. */
  async setOnline(online) {
    this.online = online;
    await this.page.evaluate((connected) => phone.network(connected), online);
  }

  storage(key) {
    return this.page.evaluate((name) => phone.wx.getStorageSync(name), key);
  }

  store(key, value) {
    return this.page.evaluate(([name, stored]) => phone.wx.setStorageSync(name, stored), [key, value]);
  }

  /** Logs in through the page, with consent. */
  async logIn({ nickName = '', avatar = false } = {}) {
    await this.page.evaluate(() => phone.pages.push('/pages/login/login'));
    if (avatar) {
      await this.top.getByRole('button', { name: '选择头像' }).tap();
      await this.top.locator('image').waitFor();
    }
    if (nickName) await this.top.getByPlaceholder('请输入昵称').fill(nickName);
    await this.consent();
    await this.tap('微信一键登录');
    await this.isAt('pages/index/index');
  }

  consent() {
    return this.top.locator('.box').tap(); // the text beside it opens the agreement
  }

  async picture(name) {
    await this.page.evaluate(() => document.fonts.ready);
    await this.page.screenshot({ path: `${OUTPUT}${name}.png` });
  }

  /** Ends the test: nothing was thrown or warned about on the way. What the phone has stored is erased. */
  async close() {
    for (const request of this.streams.values()) request.destroy();
    await this.page.goto('http://miniprogram.test/nothing');
    await this.page.evaluate(() => localStorage.clear());
    assert.deepEqual(this.faults, []);
    const browser = this.page.context().browser();
    unused.set(browser, [...unused.get(browser) || [], this.screen]);
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
