import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { bundle } from '../build.js';

const dist = new URL('../../dist/', import.meta.url);

test('dist is what the sources build', async () => {
  const built = await bundle();
  assert.deepEqual(fs.readdirSync(dist).sort(), [...built.keys()].sort());
  for (const [name, text] of built) assert.ok(fs.readFileSync(new URL(name, dist)).equals(text), `${name} is another: run make dashboard`);
});

test('nothing in it parses HTML, and nothing sets a style as text', () => {
  for (const sink of ['innerHTML', 'outerHTML', 'insertAdjacentHTML', 'document.write', 'DOMParser', 'new Function', 'eval(', 'srcdoc', 'cssText', '"style"']) {
    assert.ok(!fs.readFileSync(new URL('app.js', dist), 'utf8').includes(sink), sink);
  }
});

test('the licence of the library is kept', () => {
  assert.match(fs.readFileSync(new URL('LICENSES.txt', dist), 'utf8'), /uPlot 1[\s\S]*MIT[\s\S]*Leon Sorokin/);
});
