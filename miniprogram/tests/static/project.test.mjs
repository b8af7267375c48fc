// What can be said of the sources without running them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { demo, library, modules, root, tsc } from '../../scripts/build.mjs';
import { packaged } from '../../scripts/compile.mjs';

const read = (name) => fs.readFileSync(path.join(root, name), 'utf8');
const files = packaged(root);
const app = JSON.parse(read('app.json'));
const size = (names) => names.reduce((sum, name) => sum + fs.statSync(path.join(root, name)).size, 0);

test('a page and a component are four files of one name, and app.json lists every page', () => {
  const components = Object.values(app.usingComponents).map((name) => name.slice(1));
  for (const name of [...app.pages, ...components]) {
    for (const kind of ['js', 'json', 'wxml', 'wxss']) assert.ok(files.includes(`${name}.${kind}`), `${name}.${kind} is missing`);
  }
  const templates = files.filter((name) => name.endsWith('.wxml')).map((name) => name.slice(0, -5));
  assert.deepEqual(templates.sort(), [...app.pages, ...components].sort());
});

test('every @variable of app.json is in both themes', () => {
  const themes = JSON.parse(read(app.themeLocation));
  for (const [, name] of read('app.json').matchAll(/"@(\w+)"/g)) {
    for (const theme of ['light', 'dark']) assert.ok(themes[theme][name], `${theme} has no ${name}`);
  }
});

test('every handler that a template names is a method of its page', () => {
  for (const template of files.filter((name) => name.endsWith('.wxml'))) {
    const script = read(template.replace(/wxml$/, 'js'));
    for (const [, handler] of read(template).matchAll(/\b(?:capture-)?(?:bind|catch|mut-bind):?[a-z]+="(\w+)"/g)) {
      assert.match(script, new RegExp(`^ +(async )?${handler}\\(`, 'm'), `${template} names ${handler}`);
    }
  }
});

test('every picture of a template, page of a wx.navigateTo and module of a require exists', () => {
  for (const name of files.filter((file) => file.endsWith('.js'))) {
    for (const [, url] of read(name).matchAll(/'\/(pages\/[\w/]+)/g)) assert.ok(app.pages.includes(url), `${name} opens ${url}`);
    for (const [, to] of read(name).matchAll(/require\('(\.[^']+)'\)/g)) {
      assert.ok(files.includes(path.posix.join(path.posix.dirname(name), `${to}.js`)), `${name} requires ${to}`);
    }
  }
});

test('the project opens in WeChat DevTools as a tourist, and its package holds the example alone', () => {
  const project = JSON.parse(read('project.config.json'));
  assert.equal(project.appid, 'touristappid');
  assert.ok(fs.existsSync(path.join(root, project.cloudfunctionRoot, 'api-proxy/index.js')));
  const allowed = /^(app\.|config\.js|theme\.json|sitemap\.json|project\.config\.json|pages\/|components\/|utils\/)/;
  assert.deepEqual(files.filter((name) => !allowed.test(name)), []);
});

test('the example package is under 200 KB and either build of the published library under 20 KB', () => {
  assert.ok(size(files) < 200 * 1000, `the package has ${size(files)} bytes`);
  for (const folder of ['miniprogram_dist', 'esm']) {
    const scripts = fs.readdirSync(path.join(root, folder)).filter((name) => /js$/.test(name));
    assert.equal(scripts.length, 2);
    assert.ok(size(scripts.map((name) => `${folder}/${name}`)) < 20 * 1000, `the library in ${folder} is too large`);
  }
});

for (const [folder, build] of Object.entries({ miniprogram_dist: library, esm: modules, 'demo/built': demo })) {
  test(`${folder} is what its sources build`, () => {
    const built = build();
    assert.deepEqual(fs.readdirSync(path.join(root, folder)).sort(), [...built.keys()].sort());
    for (const [name, text] of built) assert.ok(read(`${folder}/${name}`) === text, `${folder}/${name} is stale: npm run build`);
  });
}

test('the published files are named in package.json', () => {
  const manifest = JSON.parse(read('package.json'));
  const entries = Object.values(manifest.exports['.']).flatMap(Object.values);
  assert.equal(entries.length, 4);
  for (const name of [manifest.main, manifest.module, manifest.types, `${manifest.miniprogram}/index.js`, ...entries]) assert.ok(fs.existsSync(path.join(root, name)), name);
});

test('dependencies are pinned exactly, and the lock names no registry', () => {
  for (const folder of ['', '../examples/taro/', '../examples/uni-app/']) {
    const { dependencies, devDependencies } = JSON.parse(read(`${folder}package.json`));
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
      assert.match(version, /^(npm:typescript@)?\d+\.\d+\.\d+(-\d+)?$|^file:..\/..\/miniprogram$/, name);
    }
    const named = folder ? /"resolved": "(?!file:..\/..\/miniprogram")|:\/\/[^"]*registry/ : /"resolved"|registry/; // some packages are named so
    assert.ok(!named.test(read(`${folder}package-lock.json`)), `${folder}package-lock.json`);
  }
});

test('each lock has what every system needs, as newer versions of npm demand', () => {
  for (const folder of ['', '../examples/taro/', '../examples/uni-app/']) {
    const { packages } = JSON.parse(read(`${folder}package-lock.json`));
    for (const [place, { dependencies, optionalDependencies }] of Object.entries(packages)) {
      const above = place.split(/\/?node_modules\//).map((_, i, names) => names.slice(0, names.length - i).join('/node_modules/'));
      for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
        assert.ok(above.some((at) => packages[`${at}/node_modules/${name}`.replace(/^\//, '')]), `${folder}: ${name} of ${place}`);
      }
    }
  }
});

test('the compiler refuses what a phone does not have', () => {
  const name = 'utils/not-on-a-phone.js';
  fs.writeFileSync(path.join(root, name), 'window.alert(1);\nfetch(\'/\');\nnew URL(\'a:b\');\n');
  try {
    const { stdout } = spawnSync(process.execPath, [tsc('typescript'), '-p', 'tests/static/jsconfig.json'], { cwd: root, encoding: 'utf8' });
    assert.equal(stdout.match(/not-on-a-phone\.js\(\d+/g).length, 3, stdout);
  } finally {
    fs.rmSync(path.join(root, name));
  }
});

test('no token, code or user is written to a console', () => {
  for (const name of files.filter((file) => file.endsWith('.js'))) assert.ok(!/console\./.test(read(name)), name);
});
