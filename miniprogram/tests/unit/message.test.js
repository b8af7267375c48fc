const assert = require('node:assert/strict');
const { test } = require('node:test');
const { GatewayError } = require('../../utils/wechat-login');
const { messageOf } = require('../../utils/message');

test('a user reads what the gateway says, and never a fault of our own in English', () => {
  assert.equal(messageOf(new GatewayError(404, 'no_route', '接口不存在')), '接口不存在');
  assert.equal(messageOf(new GatewayError(401, 'wx_code_invalid', '微信登录失败: invalid code (错误码: 40029)')), '微信登录失败，请再试一次（错误码 40029）');
  assert.equal(messageOf(new GatewayError(429, 'wx_rate_limited', '微信登录失败: 登录过于频繁，请稍后再试 (错误码: 45011)')), '微信登录失败: 登录过于频繁，请稍后再试 (错误码: 45011)');
  for (const fault of [new TypeError('Cannot read properties of undefined'), { errMsg: 'showModal:fail' }, 'text', undefined, new GatewayError(500, 'internal', '')]) {
    assert.equal(messageOf(fault), '出错了，请稍后再试');
  }
});
