// What a project that installs the package, or copies the two files, gets: the package as npm packs it, and its types under
// the oldest TypeScript that is promised and today's, or the one that TYPESCRIPT names, such as the newest of the old line.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { root, tsc } from '../../scripts/build.mjs';

const COMPILERS = process.env.TYPESCRIPT ? [process.env.TYPESCRIPT] : ['typescript-5.0', 'typescript'];
const STRICT = ['--noEmit', '--strict', '--skipLibCheck', 'false', '--target', 'es2018', '--lib', 'es2018', '--types', 'miniprogram-api-typings'];
const read = (name) => fs.readFileSync(path.join(root, name), 'utf8');
const npm = (...words) => execFileSync('npm', words, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });

let project;
let packed;
before(() => {
  fs.mkdirSync(path.join(root, 'tests/output'), { recursive: true });
  project = fs.mkdtempSync(path.join(root, 'tests/output/project-')); // below node_modules, where the typings are
  const installed = path.join(project, 'node_modules/wxgate-miniprogram');
  fs.mkdirSync(installed, { recursive: true });
  [packed] = JSON.parse(npm('pack', '--json', '--pack-destination', project));
  execFileSync('tar', ['-xzf', path.join(project, packed.filename), '-C', installed, '--strip-components', '1']);
});
after(() => fs.rmSync(project, { recursive: true }));

/** @returns {Promise<string>} what the compiler says against these files of a folder */
function faults(compiler, options, folder, files) {
  return new Promise((resolve) => {
    execFile(process.execPath, [tsc(compiler), ...STRICT, ...options, ...files], { cwd: folder }, (failure, stdout) => resolve(stdout));
  });
}

/** @returns {string} a folder of the project for the files of one test */
const newFolder = () => fs.mkdtempSync(path.join(project, 'files-'));

const consumer = read('tests/static/consumer.ts');
const importing = consumer.replace("import client = require('wxgate-miniprogram');", "import client from 'wxgate-miniprogram';");
const NODE = ['--module', 'node16', '--moduleResolution', 'node16'];
const CHECKED = ['--allowJs', '--checkJs', ...NODE];
const MODULES = {
  'CommonJS': ['consumer.ts', consumer, NODE],
  'an ES module of Node': ['consumer.mts', importing, NODE],
  'a bundler': ['consumer.ts', importing, ['--module', 'esnext', '--moduleResolution', 'bundler', '--esModuleInterop']],
  'a bundler without esModuleInterop': ['consumer.ts', importing, ['--module', 'esnext', '--moduleResolution', 'bundler', '--esModuleInterop', 'false']],
};

describe('compilers', { concurrency: 2 }, () => {
  for (const compiler of COMPILERS) compiles(compiler);
});

function compiles(compiler) {
  for (const [name, [file, text, options]] of Object.entries(MODULES)) {
    if (compiler === 'typescript' && options.includes('false')) continue; // it knows that option no more
    test(`the published types compile in ${name} under ${compiler}, strict, without skipLibCheck`, async () => {
      const folder = newFolder();
      fs.writeFileSync(path.join(folder, file), text);
      assert.equal(await faults(compiler, options, folder, [file]), '');
    });
  }

  test(`app.js and config.js of the guide, pasted beside the two files, compile under ${compiler} with checkJs`, async () => {
    const folder = newFolder();
    for (const name of ['utils/wechat-login.js', 'utils/transport.js']) {
      fs.mkdirSync(path.join(folder, 'utils'), { recursive: true });
      fs.copyFileSync(path.join(root, name), path.join(folder, name));
    }
    for (const name of ['app.js', 'config.js']) {
      const [, code] = new RegExp(`<!-- from ${name} -->\\n\`\`\`js\\n([\\s\\S]*?)\`\`\``).exec(read('integration-guide.md'));
      fs.writeFileSync(path.join(folder, name), code);
    }
    assert.equal(await faults(compiler, CHECKED, folder, ['app.js']), '');
    if (compiler !== 'typescript') return; // that the check can fail is shown once
    fs.appendFileSync(path.join(folder, 'config.js'), 'module.exports.trial.silentLogin = \'sometimes\';\n');
    assert.match(await faults(compiler, CHECKED, folder, ['app.js']), /config\.js\(\d+,\d+\): error TS2322/);
  });
}

test('import and require give the same functions, and import gives them also as the default', () => {
  const named = 'import * as all from "wxgate-miniprogram"; import whole, { GatewayError } from "wxgate-miniprogram";';
  const wanted = 'import { createRequire } from "node:module"; const required = createRequire(import.meta.url)("wxgate-miniprogram");';
  const told = 'console.log(JSON.stringify([Object.keys(required), Object.keys(whole), Object.keys(all).filter((n) => n !== "default"), new GatewayError(0, "a", "b").reason]))';
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', named + wanted + told], { cwd: project, encoding: 'utf8' });
  assert.equal(stderr, '');
  const [required, whole, all, reason] = JSON.parse(stdout);
  assert.ok(required.length >= 14);
  assert.deepEqual([whole, [...all].sort(), reason], [required, [...required].sort(), 'a']);
});

test('the package holds the library, what it is for, and its licence, and nothing else', () => {
  assert.deepEqual(packed.files.map((file) => file.path).sort(), [
    'LICENSE', 'README.md', 'esm/index.d.mts', 'esm/index.mjs', 'esm/transport.d.mts', 'esm/transport.mjs', 'miniprogram_dist/index.d.ts', 'miniprogram_dist/index.js', 'miniprogram_dist/transport.d.ts', 'miniprogram_dist/transport.js', 'package.json',
  ]);
  assert.ok(packed.size < 20 * 1000, `${packed.size} bytes`);
  assert.equal(read('LICENSE'), read('../LICENSE'));
});

test('the page of the package on npm says what it is, how it begins, and where it comes from', () => {
  const { author, bugs, homepage, keywords, license, repository } = JSON.parse(read('package.json'));
  assert.ok(author && bugs && license === 'Apache-2.0' && keywords.length >= 5 && repository.directory === 'miniprogram');
  for (const address of [homepage, bugs, repository.url]) assert.match(address, /^(git\+)?https:\/\//);
  const readme = read('README.md');
  for (const part of ['npm install wxgate-miniprogram', "require('wxgate-miniprogram')", 'wechatLogin', 'error.body', homepage]) assert.ok(readme.includes(part), part);
});

test('what the page of the package shows compiles', async () => {
  const blocks = [...read('README.md').matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, code]) => code);
  assert.ok(blocks.length >= 2);
  const folder = newFolder();
  fs.writeFileSync(path.join(folder, 'page.js'), blocks.join('\n'));
  assert.equal(await faults('typescript', CHECKED, folder, ['page.js']), '');
});
