// Writes ../dist, which is committed and embedded by `npm run build`.
// SOURCES.txt has a sum for each file that was read and for each that was written, so that `go test` notices a change without Node.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const page = fileURLToPath(new URL('.', import.meta.url));
const dist = path.join(page, '../dist');

/** @returns {Promise<Map<string, Uint8Array>>} what is in dist, by name */
export async function bundle() {
  const { outputFiles } = await build({
    absWorkingDir: page, entryPoints: { app: 'src/main.js' }, outdir: 'out', write: false, bundle: true, minify: true, format: 'esm',
    target: ['es2022'], legalComments: 'none', charset: 'utf8',
  });
  const files = new Map(outputFiles.map((file) => [path.basename(file.path), file.contents]));
  files.set('index.html', fs.readFileSync(path.join(page, 'src/index.html')));
  files.set('LICENSES.txt', Buffer.from(licenses()));
  files.set('SOURCES.txt', Buffer.from(sums(files)));
  return files;
}

/** app.js and app.css carry a library of others. */
function licenses() {
  const folder = path.join(page, 'node_modules/uplot');
  const { version } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
  return `app.js and app.css contain uPlot ${version}, https://github.com/leeoniya/uPlot\n\n${fs.readFileSync(path.join(folder, 'LICENSE'), 'utf8')}`;
}

/** @param {Map<string, Uint8Array>} files */
function sums(files) {
  const sources = ['build.js', 'package-lock.json', ...fs.readdirSync(path.join(page, 'src')).map((name) => `src/${name}`)].sort();
  const read = sources.map((name) => `${sum(fs.readFileSync(path.join(page, name)))}  page/${name}\n`);
  const written = [...files].map(([name, text]) => `${sum(text)}  dist/${name}\n`).sort((a, b) => (a.slice(64) < b.slice(64) ? -1 : 1));
  return written.concat(read).join('');
}

/** @param {Uint8Array} text */
const sum = (text) => createHash('sha256').update(text).digest('hex');

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  fs.rmSync(dist, { recursive: true, force: true });
  fs.mkdirSync(dist);
  for (const [name, text] of await bundle()) fs.writeFileSync(path.join(dist, name), text);
}
