const assert = require('node:assert/strict');
const { test } = require('node:test');
const { refusal, startApp, success } = require('./phone');

const LOGIN = '/api/v1/auth/wx-login';
const SIGN = '/api/v1/pay/virtual/sign';

async function startShop(options = {}) {
  const app = startApp(options);
  await app.client.wechatLogin();
  return Object.assign(app, {
    /** What the phone was asked to pay. @param {string} [name] */
    payments: (name = 'requestVirtualPayment') => app.phone.given.filter((_, i) => app.phone.calls[i] === name),
    logins: () => app.phone.calls.filter((name) => name === 'login').length,
  });
}

test('the phone is given what the gateway signed, byte for byte', async () => {
  const { client, gateway, payments } = await startShop();
  assert.equal(await client.payVirtual({ id: 17 }, { header: { 'X-Shop': 'a' } }), undefined);
  const call = gateway.calls[1];
  assert.deepEqual([call.method, call.path, call.data, call.header['X-Shop']], ['POST', SIGN, { order: { id: 17 } }, 'a']);
  const [{ mode, signData, paySig, signature }] = payments();
  assert.deepEqual({ mode, signData, paySig, signature }, gateway.sign({ id: 17 }));
});

test('B2b is paid by wx.requestCommonPayment', async () => {
  const { client, gateway, payments } = await startShop();
  gateway.before = ({ path }) => (path === SIGN ? success({ mode: 'retail_pay_goods', signData: '{}', paySig: 'p', signature: 's' }) : undefined);
  await client.payVirtual(17);
  assert.deepEqual([payments().length, payments('requestCommonPayment').length], [0, 1]);
});

test('a session_key that the gateway knows to be stale is renewed by one login, and the order is signed anew', async () => {
  const { client, gateway, payments, logins } = await startShop();
  gateway.before = ({ path }) => (path === SIGN && gateway.count(LOGIN) < 2 ? refusal(409, 'session_key_stale') : undefined);
  await client.payVirtual(17);
  assert.deepEqual([logins(), gateway.count(SIGN), payments().map(({ signature }) => signature)], [2, 2, ['s2']]);
});

test('a session_key that only the phone knows to be stale is renewed by one login, too', async () => {
  const { client, phone, payments, logins } = await startShop();
  phone.payment = ({ signature }) => (signature === 's1' ? { errCode: -15007 } : undefined);
  await client.payVirtual(17);
  assert.deepEqual([logins(), payments().map(({ signature }) => signature)], [2, ['s1', 's2']]);
});

test('a signature that the phone takes for wrong may be by a stale session_key, but not a paySig', async () => {
  for (const [errCode, times] of [[-15005, 2], [702002, 2], [-15006, 1], [702003, 1]]) {
    const { client, phone, logins } = await startShop();
    phone.payment = ({ signature }) => (signature === 's1' ? { errCode } : undefined);
    const outcome = await client.payVirtual(17).then(() => 'paid', (error) => error.reason);
    assert.deepEqual([errCode, logins(), outcome], [errCode, times, times === 2 ? 'paid' : 'pay_signature']);
  }
});

test('a session_key that stays stale is renewed once, never twice, whoever says so', async () => {
  const { client, gateway, phone, logins } = await startShop();
  phone.payment = () => ({ errCode: -15007 });
  await assert.rejects(client.payVirtual(17), { name: 'GatewayError', code: 0, reason: 'session_key_stale', errCode: -15007 });
  assert.deepEqual([logins(), gateway.count(SIGN)], [2, 2]);
  gateway.before = ({ path }) => (path === SIGN && gateway.count(SIGN) % 2 ? refusal(409, 'session_key_stale') : undefined);
  await assert.rejects(client.payVirtual(17), { reason: 'session_key_stale' });
  assert.deepEqual([logins(), gateway.count(SIGN)], [3, 4], 'the gateway first, then the phone');
});

test('an order that the service refused, and no network, are not tried again', async () => {
  const { client, gateway, phone, payments, logins } = await startShop();
  gateway.before = ({ path }) => (path === SIGN ? refusal(409, 'order_refused') : undefined);
  await assert.rejects(client.payVirtual(17), { code: 409, reason: 'order_refused' });
  phone.online = false;
  await assert.rejects(client.payVirtual(17), { code: 0, reason: 'network' });
  assert.deepEqual([logins(), gateway.count(SIGN), payments().length], [1, 1, 0]);
});

test('nobody who is not logged in is logged in to pay', async () => {
  const { client, phone } = startApp();
  await assert.rejects(client.payVirtual(17), { code: 401 });
  await client.wechatLogin();
  phone.payment = () => {
    client.logout();
    return { errCode: -15007 };
  };
  await assert.rejects(client.payVirtual(17), { reason: 'session_key_stale' });
  assert.equal(phone.calls.filter((name) => name === 'login').length, 1);
});

const faults = {
  cancelled: [-2], pay_blocked: [-4], pay_unknown: [-5], pay_repeated: [-15002], pay_new_order: [-15003, -15012],
  pay_order_invalid: [-15001, 1001, -15004, -15011, -15013, -15016], pay_signature: [-15005, -15006, 702002, 702003],
  pay_merchant: [-15008, -15017, -15019], pay_unpublished: [-15009, -15010, -15014, -15018], pay_too_fast: [-15020, -15021],
  pay_failed: [-1, 1003, -15999],
};

test('what the phone fails with has a reason, words for the user, and its number', async () => {
  const { client, phone } = await startShop();
  for (const [reason, numbers] of Object.entries(faults)) {
    for (const errCode of numbers) {
      phone.payment = () => ({ errCode, errMsg: 'requestVirtualPayment:fail it said' });
      await assert.rejects(client.payVirtual(17), (/** @type {any} */ error) => {
        assert.deepEqual([error.name, error.code, error.reason, error.errCode, error.errMsg], ['GatewayError', 0, reason, errCode, 'requestVirtualPayment:fail it said']);
        assert.match(error.message, /^[\u4e00-\u9fff，]+$/);
        return true;
      });
    }
  }
  phone.payment = () => ({ errCode: -1, errMsg: 'requestVirtualPayment:fail cancel' });
  await assert.rejects(client.payVirtual(17), { reason: 'cancelled' });
});

test('a WeChat that cannot take the payment says so', async () => {
  const { client, wx } = await startShop();
  Object.assign(wx, { requestVirtualPayment: undefined });
  await assert.rejects(client.payVirtual(17), { reason: 'unsupported', message: '当前微信版本不支持支付，请更新微信' });
});
