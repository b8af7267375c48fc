const wxml = require('eslint-plugin-wxml');
const wxmlParser = require('@wxml/parser');

const known = (names) => Object.fromEntries(names.split(' ').map((name) => [name, 'readonly']));
const careful = {
  eqeqeq: 'error', 'no-console': 'error', 'no-undef': 'error', 'no-unused-vars': ['error', { caughtErrors: 'none' }], 'no-var': 'error',
  'prefer-const': 'error', quotes: ['error', 'single', { avoidEscape: true, allowTemplateLiterals: true }], semi: 'error',
  'max-lines-per-function': ['error', { max: 60, skipComments: true }], 'no-use-before-define': 'off',
};
const wxmlRules = Object.keys(wxml.rules).filter((rule) => /syntax-error|no-duplicate|interpolation|no-unexpected|no-empty/.test(rule));

module.exports = [
  { ignores: ['node_modules/', 'miniprogram_dist/', 'esm/', 'demo/built/', 'tests/output/'] },
  {
    files: ['**/*.wxml'],
    plugins: { wxml },
    languageOptions: { parser: wxmlParser },
    rules: Object.fromEntries(wxmlRules.map((rule) => [`wxml/${rule}`, 'error'])),
  },
  {
    // What a phone runs: no window, no fetch, no process.
    files: ['app.js', 'config.js', 'utils/**/*.js', 'pages/**/*.js', 'components/**/*.js'],
    languageOptions: { sourceType: 'commonjs', globals: known('wx App Page Component getApp getCurrentPages setTimeout clearTimeout') },
    rules: careful,
  },
  {
    files: ['cloudfunctions/**/*.js', 'tests/**/*.js'],
    languageOptions: { sourceType: 'commonjs', globals: known('process Buffer setTimeout clearTimeout URL URLSearchParams structuredClone wx __dirname') },
    rules: careful,
  },
  {
    files: ['scripts/**/*.mjs', 'tests/**/*.mjs'],
    languageOptions: { sourceType: 'module', globals: known('process Buffer setTimeout URL fetch phone document window getComputedStyle innerWidth localStorage requestAnimationFrame') },
    rules: careful,
  },
];
