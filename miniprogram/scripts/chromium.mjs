// Where a Chromium is that the tests can drive: CHROMIUM, else a browser of the PATH, else where macOS keeps one.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'chrome', 'microsoft-edge-stable', 'microsoft-edge'];
const APPLICATIONS = ['Google Chrome', 'Chromium', 'Microsoft Edge'].map((name) => `Applications/${name}.app/Contents/MacOS/${name}`);

/** @param {string} file */
function isExecutable(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

/** @param {Record<string, string | undefined>} [env] @param {string} [root] @returns {string} '' when there is none */
export function findChromium(env = process.env, root = '/') {
  if (env.CHROMIUM) return isExecutable(env.CHROMIUM) ? env.CHROMIUM : '';
  const folders = (env.PATH || '').split(path.delimiter).concat(path.join(root, 'usr/bin'), path.join(root, 'snap/bin')).filter(Boolean);
  const onPath = folders.flatMap((folder) => NAMES.map((name) => path.join(folder, name)));
  const ofMac = [root, env.HOME || root].flatMap((folder) => APPLICATIONS.map((name) => path.join(folder, name)));
  return onPath.concat(ofMac).find(isExecutable) || '';
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = findChromium();
  process.stdout.write(found && `${found}\n`);
  process.exitCode = found ? 0 : 1;
}
