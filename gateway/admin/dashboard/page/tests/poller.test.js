import assert from 'node:assert/strict';
import test from 'node:test';
import { Poller } from '../src/poller.js';

/** A document that can be hidden, and a poller that counts its readings. */
function world(/** @type {import('node:test').TestContext} */ t) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const page = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  const show = (/** @type {string} */ state) => {
    page.visibilityState = state;
    page.dispatchEvent(new Event('visibilitychange'));
  };
  Object.assign(globalThis, { document: page });
  const seen = { readings: 0 };
  const poller = new Poller({ every: 2000, read: async () => { seen.readings += 1; } });
  const pass = async (/** @type {number} */ milliseconds) => {
    for (let passed = 0; passed <= milliseconds; passed += 100) {
      t.mock.timers.tick(passed ? 100 : 0);
      await Promise.resolve();
      await Promise.resolve();
    }
  };
  return { poller, seen, show, pass };
}

test('it reads at once, and again two seconds after an answer', async (t) => {
  const { poller, seen, pass } = world(t);
  poller.start();
  await pass(0);
  assert.equal(seen.readings, 1);
  await pass(1900);
  assert.equal(seen.readings, 1);
  await pass(4000);
  assert.equal(seen.readings, 3);
});

test('nothing is read while nobody can see it, and at once when they can', async (t) => {
  const { poller, seen, show, pass } = world(t);
  poller.start();
  await pass(0);
  show('hidden');
  await pass(60000);
  assert.equal(seen.readings, 1);
  show('visible');
  await pass(0);
  assert.equal(seen.readings, 2);
});

test('it reads once at a time, however often it is shown', async (t) => {
  const { poller, seen, show, pass } = world(t);
  let answer = () => {};
  poller.read = () => new Promise((resolve) => { seen.readings += 1; answer = () => resolve(); });
  poller.start();
  await pass(0);
  for (let i = 0; i < 5; i += 1) {
    show('hidden');
    show('visible');
  }
  await pass(10000);
  assert.equal(seen.readings, 1);
  answer();
  await pass(2000);
  assert.equal(seen.readings, 2);
});
