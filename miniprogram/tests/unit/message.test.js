const assert = require('node:assert/strict');
const { test } = require('node:test');
const { GatewayError } = require('../../utils/wechat-login');
const { messageOf } = require('../../utils/message');

test('a user reads what the gateway says, and never a fault of our own in English', () => {
  assert.equal(messageOf(new GatewayError(404, 'no_route', '接口不存在')), '接口不存在');
  for (const fault of [new TypeError('Cannot read properties of undefined'), { errMsg: 'showModal:fail' }, 'text', undefined, new GatewayError(500, 'internal', '')]) {
    assert.equal(messageOf(fault), '出错了，请稍后再试');
  }
});
