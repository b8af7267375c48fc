// The real gateway, which `npm run gateway` builds from this repository, with the WeChat sandbox and the recipe service around it.
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { startLive } from './live.mjs';

const repository = fileURLToPath(new URL('../../..', import.meta.url));
export const REFRESHES = 'wxgate_authn_refreshes_total';
export const SECRET = 'a-key-that-exists-in-these-tests-only-0123456789';

// Ports of this process alone, below those that the system gives to connections: files of tests run beside each other.
let nextPort = 20000 + (process.pid % 1000) * 10;

async function freeAddress() {
  for (;;) {
    const port = nextPort++;
    const server = net.createServer();
    const free = await new Promise((resolve) => { server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true)); });
    if (!free) continue;
    await new Promise((resolve) => { server.close(resolve); });
    return `127.0.0.1:${port}`;
  }
}

export async function eventually(what, check) {
  for (const end = Date.now() + 30000; Date.now() < end;) {
    if (await check().catch(() => false)) return;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  throw new Error(`waited 30 s for ${what}`);
}

const built = (name) => path.join(repository, 'miniprogram/tests/output', name);

/** @param {Record<string, string>} [more] variables of gateway.yaml */
export async function startWorld(more = {}) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'wxgate-miniprogram-'));
  const [listen, admin] = [await freeAddress(), await freeAddress()];
  const sandbox = spawn(built('sandbox'), [`http://${admin}`], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = readline.createInterface({ input: sandbox.stdout })[Symbol.asyncIterator]();
  const said = async () => JSON.parse((await lines.next()).value);
  const { wechat, recipes } = await said();
  const live = await startLive();
  const env = Object.assign({}, process.env, {
    LISTEN: listen, ADMIN: admin, SANDBOX_URL: wechat, SANDBOX_SECRET: 'sandbox-secret-of-the-tests', RECIPES_URL: recipes, LIVE_URL: `http://127.0.0.1:${live.address().port}`, KEY: SECRET, FOLDER: folder,
    GORACE: 'atexit_sleep_ms=0',
  }, more);
  delete env.PORT; // it would win over LISTEN
  const log = fs.openSync(`${folder}/log`, 'w');
  const gateway = spawn(built('wxgate'), ['serve', '-c', `${repository}/miniprogram/tests/e2e/gateway.yaml`], { env, stdio: ['ignore', log, log] });
  const base = `http://${listen}`;
  try {
    await eventually('the gateway', async () => (await fetch(`${base}/healthz`)).ok);
  } catch (error) {
    gateway.kill('SIGKILL');
    sandbox.kill('SIGKILL');
    live.close();
    throw new Error(`${error.message}; its log:\n${fs.readFileSync(`${folder}/log`, 'utf8')}`);
  }
  sandbox.stdin.write(`${base}\n`);
  const { demo } = await said();
  return Object.assign(new World({ base, admin, wechat, demo }), {
    async stop() {
      const gone = new Promise((resolve) => { gateway.once('exit', resolve); });
      gateway.kill('SIGTERM');
      sandbox.stdin.end();
      live.close();
      await gone;
      fs.rmSync(folder, { recursive: true });
    },
  });
}

/** What a test asks of it. */
class World {
  constructor(addresses) {
    Object.assign(this, addresses);
  }

  /** A code of the sandbox: of wx.login, or of the phone button. @returns {Promise<string>} */
  async code(person, kind = 'code') {
    const response = await fetch(`${this.wechat}/sandbox/${kind}`, { method: 'POST', body: JSON.stringify({ person }) });
    return (await response.json()).code;
  }

  /** Data under the session_key of that person's last login. @returns {Promise<{encryptedData: string, iv: string}>} */
  async sealed(person, kind) {
    return (await fetch(`${this.wechat}/sandbox/encrypt`, { method: 'POST', body: JSON.stringify({ person, kind }) })).json();
  }

  async call(method, target, token, body) {
    const headers = Object.assign({ 'Content-Type': 'application/json' }, token ? { Authorization: `Bearer ${token}` } : {});
    const response = await fetch(this.base + target, { method, headers, body: body && JSON.stringify(body) });
    return { status: response.status, data: await response.json().catch(() => ({})) };
  }

  /** Another phone of that person. @returns {Promise<string>} its token */
  async login(person) {
    const { data } = await this.call('POST', '/api/v1/auth/wx-login', '', { code: await this.code(person) });
    return data.data.access_token;
  }

  /** The sum of a counter over its labels. */
  async counted(name) {
    const text = await (await fetch(`http://${this.admin}/metrics`)).text();
    return text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .reduce((sum, line) => sum + Number(line.split(' ').pop()), 0);
  }

  /** The same token as if it had been issued long ago: its session is alive, its time is over. */
  expired(token) {
    const [head, payload] = token.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const now = Math.floor(Date.now() / 1000);
    Object.assign(claims, { iat: now - 604900, exp: now - 100 });
    const text = `${head}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
    return `${text}.${crypto.createHmac('sha256', SECRET).update(text).digest('base64url')}`;
  }
}
