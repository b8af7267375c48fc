import assert from 'node:assert/strict';
import test from 'node:test';
import { ApiError } from '../src/api.js';
import { faultText, refusalText } from '../src/fault.js';
import { words } from '../src/words.js';

const zh = { t: words('zh'), language: /** @type {const} */ ('zh') };
const en = { t: words('en'), language: /** @type {const} */ ('en') };

test('a fault is told in the language of the page', () => {
  const fault = { fault: 'log_unread', values: { lines: '12' }, text: 'nobody reads the log, 12 lines were dropped' };
  assert.equal(faultText(en, fault), fault.text);
  assert.equal(faultText(zh, fault), '没有程序读取日志，已丢弃 12 行');
});

test('a fault that the page does not know is told as the gateway tells it', () => {
  assert.equal(faultText(zh, { fault: 'of_a_successor', values: {}, text: 'something new' }), 'something new');
});

test('a refusal is told by its reason, whichever language the gateway has for it', () => {
  const away = new ApiError(503, { reason: 'storage_unavailable', message: '服务暂时不可用，请稍后再试', request_id: 'r1' });
  assert.equal(refusalText(en, away), 'The disk is full or failing, or the database is away. (request r1)');
  assert.equal(refusalText(zh, away), '磁盘已满或故障，或数据库无法访问。（请求编号 r1）');
});

test('what is wrong in particular stands behind it', () => {
  const wrong = new ApiError(400, { reason: 'invalid_request', message: '请求参数错误', detail: 'limit is at most 1000' });
  assert.equal(refusalText(zh, wrong), '请求体、路径、请求头或报文格式不合法。（limit is at most 1000）');
});

test('a refusal without a reason that is known is told as it came', () => {
  assert.equal(refusalText(zh, new ApiError(502, {})), 'HTTP 502');
});
