const assert = require('node:assert/strict');
const { test } = require('node:test');
const { isOlder } = require('../../utils/version');

test('versions are compared number by number', () => {
  for (const [version, older] of /** @type {[string, boolean][]} */ ([
    ['2.27.0', true], ['2.9.9', true], ['1.99.99', true], ['2.27', true], ['2.27.1', false], ['2.27.10', false], ['2.100.0', false], ['3.0.0', false],
  ])) assert.equal(isOlder(version, '2.27.1'), older, version);
});
