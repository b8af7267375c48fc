import assert from 'node:assert/strict';
import test from 'node:test';
import { formats } from '../src/format.js';

const en = formats('en');
const zh = formats('zh');

test('durations have three digits and the unit that fits', () => {
  const written = [0, 0.0000423, 0.00085, 0.00234, 0.135, 0.9996, 1.25, 75.3, 4000, null].map((s) => en.duration(s));
  assert.deepEqual(written, ['0 ms', '42.3 µs', '850 µs', '2.34 ms', '135 ms', '1.00 s', '1.25 s', '75.3 s', '4,000 s', '–']);
});

test('a quantile beyond the last bound says so', () => {
  assert.deepEqual([en.quantile({ seconds: 60, beyond: true }), en.quantile(null)], ['>60.0 s', '–']);
});

test('rates, shares and counts', () => {
  assert.deepEqual([0, 0.002, 0.5, 12.34, 1234.5, null].map((n) => en.rate(n)), ['0 /s', '<0.01 /s', '0.50 /s', '12.3 /s', '1,235 /s', '–']);
  assert.deepEqual([0, 0.00001, 0.0042, 0.123, 1, null].map((n) => en.percent(n)), ['0%', '<0.01%', '0.42%', '12.3%', '100%', '–']);
  assert.deepEqual([0, 1234567, 12345678].map((n) => en.count(n)), ['0', '1,234,567', '12.3M']);
  assert.equal(zh.count(12345678), '1230万');
});

test('bytes', () => {
  assert.deepEqual([0, 1023, 1536, 73400320, 5e12].map((n) => en.bytes(n)), ['0 B', '1,023 B', '1.5 KiB', '70 MiB', '4.5 TiB']);
});

test('times from now, and lengths', () => {
  const now = '2026-11-30T12:00:00Z';
  assert.equal(en.since('2026-11-30T09:00:00Z', now), '3 hours ago');
  assert.equal(zh.since('2026-11-30T09:00:00Z', now), '3 小时前');
  assert.deepEqual([en.length(90000), zh.length(90000), en.length(0)], ['1 day', '1 天', '0 seconds']);
  assert.deepEqual([en.moment(''), en.moment('soon'), en.since(null, now)], ['–', '–', '–']);
});
