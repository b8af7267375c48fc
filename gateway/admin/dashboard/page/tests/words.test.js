import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { REASONS } from '../src/reasons.js';
import { WORDS, words } from '../src/words.js';

const sources = fs.readdirSync(new URL('../src/', import.meta.url)).filter((name) => name.endsWith('.js'))
  .map((name) => fs.readFileSync(new URL(`../src/${name}`, import.meta.url), 'utf8')).join('\n');
const blanks = (/** @type {string} */ text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();

test('both languages have the same words, with the same blanks', () => {
  for (const table of [WORDS, REASONS]) {
    assert.deepEqual(Object.keys(table.zh), Object.keys(table.en));
    for (const [key, text] of Object.entries(table.en)) assert.deepEqual(blanks(table.zh[key]), blanks(text), key);
  }
});

test('no word is empty', () => {
  for (const table of [WORDS, REASONS]) {
    for (const text of [...Object.values(table.en), ...Object.values(table.zh)]) assert.match(text, /\S/);
  }
});

test('every word that a source asks for is there', () => {
  const asked = [...sources.matchAll(/\bt\((?:\w+ \? )?'([\w.]+)'/g)].map((match) => match[1]);
  assert.ok(asked.length > 80, `${asked.length} are asked for`);
  for (const key of asked) assert.ok(key in WORDS.en, key);
});

test('every word is asked for, by its name or by the beginning of a name', () => {
  const beginnings = [...sources.matchAll(/`([a-z_.]+\.)\$\{/g)].map((match) => match[1]);
  const ends = [...sources.matchAll(/\$\{name\}(\.\w+)`/g)].map((match) => match[1]);
  const unused = Object.keys(WORDS.en).filter((key) => !sources.replace(/^ {4}'.*$/gm, '').includes(`'${key}'`) && !beginnings.some((start) => key.startsWith(start)) && !ends.some((end) => key.endsWith(end)));
  assert.deepEqual(unused, []);
});

test('blanks are filled in, and what is filled in is not searched for blanks', () => {
  assert.equal(words('en')('user.title', { id: '{id}' }), 'User {id}');
});
