// What a project that installs the package, or copies the two files, gets: the package as npm packs it, and its types under
// the oldest TypeScript that is promised, the newest of its line, and today's.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { root, tsc } from '../../scripts/build.mjs';

const COMPILERS = ['typescript-5.0', 'typescript-5.9', 'typescript'];
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

/** @returns {string} what the compiler says against these files of the project */
function faults(compiler, options, files) {
  return spawnSync(process.execPath, [tsc(compiler), ...STRICT, ...options, ...files], { cwd: project, encoding: 'utf8' }).stdout;
}

const consumer = read('tests/static/consumer.ts');
const MODULES = {
  'CommonJS': [consumer, ['--module', 'node16', '--moduleResolution', 'node16']],
  'a bundler': [
    consumer.replace("import client = require('wxgate-miniprogram');", "import client from 'wxgate-miniprogram';"),
    ['--module', 'esnext', '--moduleResolution', 'bundler', '--esModuleInterop'],
  ],
};

for (const compiler of COMPILERS) {
  for (const [name, [text, options]] of Object.entries(MODULES)) {
    test(`the published types compile in ${name} under ${compiler}, strict, without skipLibCheck`, () => {
      fs.writeFileSync(path.join(project, 'consumer.ts'), text);
      assert.equal(faults(compiler, options, ['consumer.ts']), '');
    });
  }

  test(`app.js and config.js of the guide, pasted beside the two files, compile under ${compiler} with checkJs`, () => {
    for (const name of ['utils/wechat-login.js', 'utils/transport.js']) {
      fs.mkdirSync(path.join(project, 'utils'), { recursive: true });
      fs.copyFileSync(path.join(root, name), path.join(project, name));
    }
    for (const name of ['app.js', 'config.js']) {
      const [, code] = new RegExp(`<!-- from ${name} -->\\n\`\`\`js\\n([\\s\\S]*?)\`\`\``).exec(read('integration-guide.md'));
      fs.writeFileSync(path.join(project, name), code);
    }
    assert.equal(faults(compiler, ['--allowJs', '--checkJs', '--module', 'node16', '--moduleResolution', 'node16'], ['app.js']), '');
    if (compiler !== 'typescript') return; // that the check can fail is shown once
    fs.appendFileSync(path.join(project, 'config.js'), 'module.exports.trial.silentLogin = \'sometimes\';\n');
    assert.match(faults(compiler, ['--allowJs', '--checkJs', '--module', 'node16', '--moduleResolution', 'node16'], ['app.js']), /config\.js\(\d+,\d+\): error TS2322/);
  });
}

test('the package holds the library, what it is for, and its licence, and nothing else', () => {
  assert.deepEqual(packed.files.map((file) => file.path).sort(), [
    'LICENSE', 'README.md', 'miniprogram_dist/index.d.ts', 'miniprogram_dist/index.js', 'miniprogram_dist/transport.d.ts', 'miniprogram_dist/transport.js', 'package.json',
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

test('what the page of the package shows compiles', () => {
  const blocks = [...read('README.md').matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, code]) => code);
  assert.ok(blocks.length >= 2);
  fs.writeFileSync(path.join(project, 'page.js'), blocks.join('\n'));
  assert.equal(faults('typescript', ['--allowJs', '--checkJs', '--module', 'node16', '--moduleResolution', 'node16'], ['page.js']), '');
});
