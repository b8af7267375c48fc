// Writes what is built from other files and committed: the published client, for WeChat and require() in miniprogram_dist/
// and for import in esm/, and what `wxgate demo` shows in demo/built/. The tests build again and compare.
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile, packaged } from './compile.mjs';

export const root = fileURLToPath(new URL('..', import.meta.url));
const NOTICE = '// Built from utils/\n';

/**
 * The client without its comments, and its types, which explain it. TypeScript 5.0 writes them: what it writes, every
 * later one reads.
 * @returns {Map<string, string>} file name → text
 */
export function library() {
  const out = fs.mkdtempSync(path.join(os.tmpdir(), 'wxgate-library-'));
  try {
    for (const what of [['--removeComments'], ['--declaration', '--emitDeclarationOnly']]) {
      execFileSync(process.execPath, [tsc('typescript-5.0'), '-p', 'scripts/library.json', '--outDir', out, ...what], { cwd: root, stdio: 'inherit' });
    }
    const names = ['wechat-login.js', 'wechat-login.d.ts', 'transport.js', 'transport.d.ts'];
    const built = new Map(names.map((name) => [published(name), NOTICE + ourLayout(fs.readFileSync(path.join(out, name), 'utf8'))]));
    return built.set('index.d.ts', forEveryImport(built.get('index.d.ts')));
  } finally {
    fs.rmSync(out, { recursive: true });
  }
}

/**
 * The same client for import, with every function by its name and all of them as the default.
 * @param {Map<string, string>} [built] what library() returns @returns {Map<string, string>} file name → text
 */
export function modules(built = library()) {
  return new Map([...built].map(([name, text]) => [
    name.replace(/(\.d)?\.js$|\.d\.ts$/, (end) => (end === '.js' ? '.mjs' : '.d.mts')),
    (name.endsWith('.js') ? asModule : asModuleTypes)(text, name.startsWith('index')),
  ]));
}

function asModule(text, isEntry) {
  const all = /^module\.exports = \{([\s\S]*?)\};$/m;
  const names = all.exec(text)[1].match(/\w+/g).filter((name) => !isEntry || name !== 'GatewayError').join('|');
  return text.replace(/^const (\{.*\}) = require\('(.*)'\);$/m, 'import $1 from \'$2.mjs\';')
    .replace(new RegExp(`^(async function|function|class|const) (${names})\\b`, 'gm'), 'export $&')
    .replace(all, isEntry ? 'export { GatewayError };\nexport default {$1};' : '').trimEnd() + '\n';
}

function asModuleTypes(text, isEntry) {
  const imports = text.replace(/'\.\/transport'/g, '\'./transport.mjs\'');
  if (!isEntry) return imports;
  return imports
    .replace(/^import transport = .*\ndeclare namespace client \{\n.*\n/m, 'export { GatewayError } from \'./transport.mjs\';\n')
    .replace(/^\}\nexport = client;\n/m, 'declare const client: Omit<typeof import(\'./index.mjs\'), \'default\'>;\nexport default client;\n')
    .replace(/^ {2}/gm, '');
}

/** @param {string} version one of the compilers in package.json @returns {string} its script */
export const tsc = (version) => path.join(root, 'node_modules', version, 'bin/tsc');

/** `import x = require`, `import { x }` and, with esModuleInterop, `import x`: a namespace that is the module takes all. */
function forEveryImport(types) {
  const members = types.slice(NOTICE.length).replace(/^(import|export) \{ GatewayError \}.*\n/gm, '').replace(/^(?=.)/gm, '  ');
  const start = "import transport = require('./transport');\ndeclare namespace client {\n  export import GatewayError = transport.GatewayError;\n";
  return `${NOTICE}${start}${members}}\nexport = client;\n`;
}

const published = (name) => name.replace('wechat-login', 'index');
// Undoes what tsc does to the layout of our sources.
const ourLayout = (text) => text
  .replace(/^ +/gm, (indent) => indent.slice(indent.length / 2))
  .replace(/^"use strict";\n/, '')
  .replace(/\}\n *(catch|else)/g, '} $1')
  .replace(/^( *(?:if|for|\} else if) \(.*\))\n +(\S.*;)$/gm, '$1 $2');

const require = createRequire(import.meta.url);
const source = (name) => fs.readFileSync(path.join(root, 'demo/src', name), 'utf8');

/**
 * The mini-program and all that draws it, as one script. It wants `phone.host` and then `phone.start()`.
 * @param {ReturnType<typeof compile>} [compiled] @param {string} [more] a script before the mini-program's own
 */
export function script(compiled = compile(root), more = '') {
  const { templates, ...bundle } = compiled;
  delete bundle.styles; // they are a file of their own
  const library = (name) => fs.readFileSync(require.resolve(name), 'utf8').replace(/\n?\/\/# sourceMappingURL=.*/g, '');
  return `const phone = { calls: [], errors: [] };
phone.adapter = (() => {
  const core = { exports: {} }, adapter = { exports: {} };
  (function (exports, module, process) {${library('glass-easel')}\n}(core.exports, core, { env: {} }));
  (function (exports, module, require) {${library('glass-easel-miniprogram-adapter')}\n}(adapter.exports, adapter, () => core.exports));
  return adapter.exports;
})();
phone.bundle = ${JSON.stringify(bundle)};
phone.bundle.templates = ${templates};
${['elements.js', 'wx.js'].map(source).join('')}${more}${source('pages.js')}`;
}

/** @param {ReturnType<typeof compile>} [compiled] */
export const styles = (compiled = compile(root)) => source('phone.css') + compiled.styles;

/** What `wxgate demo` serves. @returns {Map<string, string>} */
export function demo() {
  const page = source('phone.html')
    .replace('<!-- aside -->\n', source('aside.html'))
    .replace('<!-- scripts -->', '<script src="phone.js"></script>\n<script src="browser.js"></script>');
  return new Map([
    ['index.html', page], ['phone.css', styles() + source('frame.css')], ['phone.js', script()], ['browser.js', source('browser.js')],
    ['LICENSES', licenses()], ['SOURCES', sums()],
  ]);
}

/** phone.js carries two libraries of others. */
function licenses() {
  return ['glass-easel', 'glass-easel-miniprogram-adapter'].map((name) => {
    const { version } = JSON.parse(fs.readFileSync(path.join(root, 'node_modules', name, 'package.json'), 'utf8'));
    return `${name} ${version}\n\n${fs.readFileSync(path.join(root, 'node_modules', name, 'LICENSE'), 'utf8')}\n`;
  }).join('\n');
}

/** A line for each file that the demo is made of, so that `go test` notices a change without Node. */
function sums() {
  const sources = fs.readdirSync(path.join(root, 'demo/src')).map((name) => `demo/src/${name}`);
  return packaged(root).concat(sources, 'package-lock.json').sort().map((name) => {
    const sum = crypto.createHash('sha256').update(fs.readFileSync(path.join(root, name))).digest('hex');
    return `${sum}  ${name}\n`;
  }).join('');
}

/** @param {string} folder @param {Map<string, string>} files */
export function write(folder, files) {
  fs.rmSync(path.join(root, folder), { recursive: true, force: true });
  fs.mkdirSync(path.join(root, folder), { recursive: true });
  for (const [name, text] of files) fs.writeFileSync(path.join(root, folder, name), text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const built = library();
  write('miniprogram_dist', built);
  write('esm', modules(built));
  write('demo/built', demo());
}
