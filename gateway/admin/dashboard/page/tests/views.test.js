import assert from 'node:assert/strict';
import test from 'node:test';
import { funnel } from '../src/logins.js';
import { sorted } from '../src/table.js';
import { pages, questions } from '../src/users.js';

test('a search asks for what the text can be', () => {
  assert.deepEqual(questions('any', ''), ['all']);
  assert.deepEqual(questions('any', '42'), ['id', 'nickname']);
  assert.deepEqual(questions('any', 'oAQSzRVoGnFD_JkJ5umqN9i4yA3_'), ['openid', 'nickname']);
  assert.deepEqual(questions('any', '小爱'), ['nickname']);
  assert.deepEqual(questions('any', '99999999999999999999'), ['openid', 'nickname']);
  assert.deepEqual(questions('nickname', '42'), ['nickname']);
});

test('a search goes on where the gateway stopped looking, and asks the next question when nobody was found', async () => {
  const user = /** @type {import('../src/api.js').Account} */ ({ id: 7 });
  const answers = { 'id null': { users: [], next: null }, 'nickname null': { users: [], next: 5000 }, 'nickname 5000': { users: [user], next: 6000 }, 'nickname 6000': { users: [], next: null } };
  /** @type {string[]} */
  const asked = [];
  const found = [];
  for await (const page of pages('any', '42', async (by, text, after) => {
    asked.push(`${by} ${after}`);
    return answers[/** @type {keyof typeof answers} */ (`${by} ${after}`)];
  })) found.push(page.users.length);
  assert.deepEqual(asked, Object.keys(answers));
  assert.deepEqual(found, [0, 1]);
});

test('a funnel narrows at each stage', () => {
  const logins = { ok: 10, rate_limited: 3, wx_code_invalid: 2, snapshot_user: 1, user_banned: 1, error: 1 };
  assert.deepEqual(funnel(Object.entries(logins).map(([result, count]) => ({ result, count }))), { asked: 18, sent: 15, accepted: 12, ok: 10 });
});

test('rows without a value come last either way, and equal ones keep their order', () => {
  const rows = [{ n: 2, i: 0 }, { n: null, i: 1 }, { n: 3, i: 2 }, { n: 2, i: 3 }];
  const order = (/** @type {boolean} */ falling) => sorted(rows, ({ n }) => n, falling).map(({ i }) => i);
  assert.deepEqual(order(true), [2, 0, 3, 1]);
  assert.deepEqual(order(false), [0, 3, 2, 1]);
});
