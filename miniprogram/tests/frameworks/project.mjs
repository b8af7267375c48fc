// The examples of Taro and uni-app: installed, with the client as it is now, and built by their own compilers.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { root, script, styles } from '../../scripts/build.mjs';
import { compile, filesIn } from '../../scripts/compile.mjs';

const examples = fileURLToPath(new URL('../../../examples/', import.meta.url));
const more = fs.readFileSync(new URL('wx.js', import.meta.url), 'utf8');

export const PROJECTS = {
  taro: { weapp: ['build:weapp', 'dist/weapp'], h5: ['build:h5', 'dist/h5'], gateway: 'TARO_APP_GATEWAY' },
  'uni-app': { weapp: ['build:mp-weixin', 'dist/build/mp-weixin'], h5: ['build:h5', 'dist/build/h5'], gateway: 'VITE_GATEWAY' },
};

const npm = (folder, words, env = {}) => execFileSync('npm', words, { cwd: folder, env: { ...process.env, ...env }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** Installs an example as its lock says, and the client as npm would pack it now. @param {string} name */
export function install(name) {
  const folder = path.join(examples, name);
  const lock = path.join(folder, 'package-lock.json');
  const installed = path.join(folder, 'node_modules/.installed');
  if (!fs.existsSync(installed) || !fs.readFileSync(lock).equals(fs.readFileSync(installed))) {
    npm(folder, ['ci', '--no-audit', '--no-fund']);
    fs.copyFileSync(lock, installed);
  }
  const client = path.join(folder, 'node_modules/wxgate-miniprogram');
  const [{ filename }] = JSON.parse(npm(root, ['pack', '--json', '--pack-destination', path.join(folder, 'node_modules')]));
  fs.rmSync(client, { recursive: true, force: true });
  fs.mkdirSync(client);
  execFileSync('tar', ['-xzf', path.join(folder, 'node_modules', filename), '-C', client, '--strip-components', '1']);
}

/** @param {string} name @param {'weapp' | 'h5'} kind @param {string} gateway its address @returns {string} the folder of the build */
export function build(name, kind, gateway) {
  const project = PROJECTS[name];
  const [words, out] = project[kind];
  const folder = path.join(examples, name);
  fs.rmSync(path.join(folder, out), { recursive: true, force: true });
  npm(folder, ['run', words], { NODE_ENV: 'production', [project.gateway]: gateway });
  return path.join(folder, out);
}

/** What the phone of the tests runs. @param {string} folder of a build for WeChat */
export function forPhone(folder) {
  const compiled = compile(folder, filesIn(folder));
  return { script: script(compiled, more), styles: styles(compiled) };
}
