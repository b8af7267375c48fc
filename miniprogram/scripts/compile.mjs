// Compiles the mini-program for a browser: templates by glass-easel's compiler, styles by 40 lines of our own. The tests
// run the result in Chromium, `wxgate demo` shows it in a phone frame.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const { TmplGroup } = createRequire(import.meta.url)('glass-easel-template-compiler');

/** The files that WeChat DevTools would upload: all but those that project.config.json ignores. */
export function packaged(root) {
  const { packOptions } = JSON.parse(fs.readFileSync(path.join(root, 'project.config.json'), 'utf8'));
  const ignored = (name) => packOptions.ignore.some(({ type, value }) => {
    if (type === 'folder') return name.startsWith(`${value}/`);
    return type === 'file' ? name === value : name.endsWith(value);
  });
  return filesIn(root).filter((name) => !ignored(name)).sort();
}

/** @returns {string[]} the files below a folder, but those that npm installed */
export function filesIn(root, folder = '') {
  return fs.readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = folder + entry.name;
    if (entry.name === 'node_modules') return [];
    return entry.isDirectory() ? filesIn(root, `${name}/`) : [name];
  });
}

/** rpx and vh are the phone's, `page` is an element of ours, and a class of a component carries its scope. */
export function css(source, { page = '.wx-page', within = '', scope = '' }) {
  return source
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(-?\d*\.?\d+)rpx\b/g, 'calc($1 * var(--rpx))')
    .replace(/(\d+)vh\b/g, 'calc($1 * var(--screen-height) / 100)')
    .replace(/([^{};]+)\{/g, (rule, selectors) => (selectors.trim().startsWith('@') ? rule : `${selectors.split(',').map(selector).join(', ')} {`));

  function selector(text) {
    const one = text.trim();
    if (one === 'page') return page;
    return within + one.replace(/\.(-?[A-Za-z_][\w-]*)/g, (_, name) => (scope ? `.${scope}--${name}` : `.${name}`));
  }
}

/**
 * @param {string} root @param {string[]} [files] of it, where not project.config.json says which
 * @returns everything that demo/src/*.js needs; templates is JavaScript text
 */
export function compile(root, files = packaged(root)) {
  const read = (name) => fs.readFileSync(path.join(root, name), 'utf8');
  const sheetOf = (name) => (files.includes(`${name}.wxss`) ? read(`${name}.wxss`) : '');
  const without = (name) => name.slice(0, -path.extname(name).length);
  const named = (ending) => files.filter((name) => name.endsWith(ending)).map(without);
  const pages = named('.wxml').filter((name) => files.includes(`${name}.json`)); // the others are imported by these
  const components = {};
  let styles = css(sheetOf('app'), {});
  pages.forEach((name, i) => {
    const json = JSON.parse(read(`${name}.json`));
    const here = `.wx-page[data-path="${name}"]`;
    const scope = json.component ? `c${i}` : '';
    const sheet = css(sheetOf(name), { page: here, within: json.component ? '' : `${here} `, scope });
    components[name] = { json, scope, css: scope && sheet };
    if (!scope) styles += sheet;
  });
  const modules = Object.fromEntries(named('.js').map((name) => [name, read(`${name}.js`)]));
  return { app: JSON.parse(read('app.json')), components, modules, styles, templates: templates(named('.wxml'), named('.wxs'), read) };
}

/** A warning of the compiler is a mistake too: a mismatched tag is only one of those. */
function templates(names, scripts, read) {
  const group = new TmplGroup();
  try {
    for (const name of scripts) group.addScript(name, read(`${name}.wxs`));
    for (const name of names) {
      const [fault] = group.addTmpl(name, read(`${name}.wxml`));
      if (fault) throw new Error(`${name}.wxml:${fault.startLine + 1}:${fault.startColumn + 1} ${fault.message}`);
    }
    group.addTmpl('wx/slot', '<slot/>');
    return group.getTmplGenObjectGroups();
  } finally {
    group.free();
  }
}
