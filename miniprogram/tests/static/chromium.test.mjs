import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { findChromium } from '../../scripts/chromium.mjs';
import { root } from '../../scripts/build.mjs';

let disk;
before(() => { disk = fs.mkdtempSync(path.join(os.tmpdir(), 'wxgate-chromium-')); });
after(() => fs.rmSync(disk, { recursive: true }));

/** @returns {string} a program that stands where a browser would */
function install(name, mode = 0o755) {
  const file = path.join(disk, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, '#!/bin/sh\n');
  fs.chmodSync(file, mode);
  return file;
}

test('a Chrome, a snap, a Mac are as good as /usr/bin/chromium, and CHROMIUM has the first word', () => {
  const env = { PATH: path.join(disk, 'bin'), HOME: path.join(disk, 'home') };
  assert.equal(findChromium(env, disk), '');
  install('bin/chromium', 0o644); // no program
  for (const place of ['home/Applications/Chromium.app/Contents/MacOS/Chromium', 'Applications/Google Chrome.app/Contents/MacOS/Google Chrome', 'snap/bin/chromium', 'usr/bin/google-chrome', 'bin/google-chrome']) {
    const file = install(place);
    assert.equal(findChromium(env, disk), file);
  }
  const own = install('opt/my browser');
  assert.equal(findChromium({ ...env, CHROMIUM: own }, disk), own);
  assert.equal(findChromium({ ...env, CHROMIUM: path.join(disk, 'opt/nothing') }, disk), '', 'a CHROMIUM that is not there is no reason to take another');
});

test('who names a CHROMIUM that is not there is told so, and nothing is installed', () => {
  const env = { ...process.env, CHROMIUM: path.join(disk, 'nothing') };
  const { status, stderr } = spawnSync('sh', ['scripts/prepare.sh'], { cwd: root, env, encoding: 'utf8' });
  assert.deepEqual([status, stderr], [1, `miniprogram: CHROMIUM is missing: there is no program at ${env.CHROMIUM}\n`]);
});
