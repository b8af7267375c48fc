import assert from 'node:assert/strict';
import test from 'node:test';
import { History } from '../src/history.js';

const START = Date.parse('2026-11-30T12:00:00Z');
const at = (/** @type {number} */ seconds) => new Date(START + seconds * 1000).toISOString();

/** A reading after so many seconds, with so many requests that each took less than 10 ms. */
function reading(/** @type {number} */ seconds, /** @type {number} */ requests, { started = at(-100), errors = 0 } = {}) {
  const latency = { count: requests, sum: 0, buckets: [{ le: 0.01, count: requests }] };
  return /** @type {any} */ ({ now: at(seconds), started_at: started, traffic: { requests, errors, latency }, routes: [] });
}

const requestsOf = (/** @type {any} */ r) => r.traffic.requests;
const latencyOf = (/** @type {any} */ r) => r.traffic.latency;

test('points are rates by the clock of the gateway', () => {
  const history = new History();
  history.add(reading(0, 100));
  history.add(reading(4, 140, { errors: 2 }));
  assert.equal(history.points[0].requests, null);
  assert.deepEqual([history.points[1].requests, history.points[1].errors], [10, 0.5]);
  assert.equal(history.points[1].p50, 0.005);
});

test('one reading says nothing about a stretch of time', () => {
  const history = new History();
  history.add(reading(0, 100));
  assert.deepEqual([history.grown(requestsOf), history.rate(requestsOf), history.observed(latencyOf).count], [null, null, 0]);
});

test('the last minute forgets what is older', () => {
  const history = new History();
  for (let s = 0; s <= 120; s += 2) history.add(reading(s, s * s));
  assert.equal(history.seconds, 60);
  assert.equal(history.grown(requestsOf), 120 * 120 - 60 * 60);
  assert.equal(history.observed(latencyOf).count, 120 * 120 - 60 * 60);
});

test('a gap is a hole in the plots and begins the minute anew', () => {
  const history = new History();
  history.add(reading(0, 100));
  history.add(reading(2, 110));
  history.add(reading(300, 5000));
  assert.equal(history.points[2].requests, null);
  assert.equal(history.grown(requestsOf), null);
});

test('a restart is no burst of requests', () => {
  const history = new History();
  history.add(reading(0, 1000));
  history.add(reading(2, 5000, { started: at(1) }));
  assert.equal(history.points[1].requests, null);
  history.add(reading(4, 5010, { started: at(1) }));
  assert.equal(history.grown(requestsOf), 10);
});

test('a clock that goes back begins anew and leaves no point in the future', () => {
  const history = new History();
  history.add(reading(100, 10));
  history.add(reading(50, 20));
  assert.deepEqual(history.points.map((point) => point.at), [START + 50000]);
  assert.equal(history.grown(requestsOf), null);
});

test('a reading that comes again is no point', () => {
  const history = new History();
  for (const s of [0, 0, 4, 4, 4]) history.add(reading(s, 10 * s));
  assert.deepEqual(history.points.map(({ requests }) => requests), [null, 10]);
  assert.equal(history.grown(requestsOf), 40);
});

test('plots reach back five minutes', () => {
  const history = new History();
  for (let s = 0; s <= 1000; s += 2) history.add(reading(s, s));
  assert.equal(history.points.length, 151);
});

test('what was not there before has grown from zero', () => {
  const history = new History();
  history.add(reading(0, 0));
  history.add({ ...reading(2, 0), routes: [/** @type {any} */ ({ requests: 6 })] });
  assert.equal(history.rate((r) => r.routes?.[0]?.requests), 3);
});
