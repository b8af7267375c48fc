import assert from 'node:assert/strict';
import test from 'node:test';
import { plain, segments } from '../src/visible.js';

const hidden = (/** @type {string} */ text) => segments(text).filter((part) => part.hidden).map((part) => part.text);

test('what cannot be seen is shown as its code point', () => {
  assert.deepEqual(segments('a\u202Eb'), [{ text: 'a', hidden: false }, { text: 'U+202E', hidden: true }, { text: 'b', hidden: false }]);
  for (const letter of ['\u0000', '\n', '\u00AD', '\u061C', '\u200B', '\u200D', '\u2028', '\u2066', '\u2800', '\u3164', '\uFEFF', '\uFE0F', '\uE000', '\u{E0041}', '\uD800']) {
    assert.equal(hidden(`x${letter}y`).length, 1, `U+${letter.codePointAt(0)?.toString(16)}`);
  }
});

test('what can be seen is left alone', () => {
  for (const text of ['', '小爱', 'Zoë <b>&amp;', 'مرحبا', '👨‍👩‍👧', '❤️', '👍🏽', '1️⃣', 'ก็']) assert.deepEqual(hidden(text), [], text);
});

test('joiners count as part of an emoji only within one', () => {
  assert.deepEqual(hidden('👨\u200Dx'), ['U+200D']);
  assert.deepEqual(hidden('a\uFE0F'), ['U+FE0F']);
});

test('as one text', () => {
  assert.equal(plain('a\u202Eb'), 'a[U+202E]b');
});
