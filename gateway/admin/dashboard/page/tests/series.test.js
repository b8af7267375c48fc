import assert from 'node:assert/strict';
import test from 'node:test';
import { EMPTY, histogramIncrease, increase, quantile, share } from '../src/series.js';

/** @param {[number, number][]} buckets @param {number} count */
const histogram = (buckets, count, sum = 0) => ({ count, sum, buckets: buckets.map(([le, n]) => ({ le, count: n })) });

test('a counter that is lower than before has begun again', () => {
  assert.equal(increase(5, 9), 4);
  assert.equal(increase(9, 3), 3);
  assert.equal(increase(undefined, 7), 7);
});

test('a quantile is interpolated within its bucket, as Prometheus does', () => {
  const h = histogram([[0.1, 50], [0.2, 90], [0.4, 100]], 100);
  assert.deepEqual(quantile(0.5, h), { seconds: 0.1, beyond: false });
  assert.deepEqual(quantile(0.25, h), { seconds: 0.05, beyond: false });
  assert.ok(Math.abs((quantile(0.7, h)?.seconds ?? 0) - 0.15) < 1e-9);
  assert.ok(Math.abs((quantile(0.99, h)?.seconds ?? 0) - 0.38) < 1e-9);
});

test('a quantile above the last bound is said to be beyond it', () => {
  assert.deepEqual(quantile(0.99, histogram([[1, 10], [2, 10]], 20)), { seconds: 2, beyond: true });
});

test('nothing observed has no quantile', () => {
  assert.equal(quantile(0.5, EMPTY), null);
  assert.equal(quantile(0.5, histogram([[1, 0]], 0)), null);
  assert.equal(share(1, 0), null);
});

test('empty buckets below do not draw a quantile down', () => {
  assert.ok((quantile(0.01, histogram([[1, 0], [2, 0], [4, 10]], 10))?.seconds ?? 0) > 2);
});

test('the increase of a histogram is that of each bucket', () => {
  const before = histogram([[1, 5], [2, 6]], 7, 10);
  assert.deepEqual(histogramIncrease(before, histogram([[1, 6], [2, 9]], 11, 15)), histogram([[1, 1], [2, 3]], 4, 5));
});

test('a histogram that began again, or has other bounds, counts as a whole', () => {
  const before = histogram([[1, 5], [2, 6]], 7);
  for (const after of [histogram([[1, 1], [2, 1]], 1), histogram([[1, 9], [3, 9]], 9), histogram([[1, 9]], 9), histogram([[1, 4], [2, 8]], 9)]) {
    assert.deepEqual(histogramIncrease(before, after), after);
  }
  assert.equal(histogramIncrease(undefined, before), before);
});
