// What people choose for themselves: language and theme. The browser remembers it where it may.
import { WORDS } from './words.js';

/** @typedef {import('./words.js').Language} Language @typedef {'auto' | 'light' | 'dark'} Theme */

/** @type {Theme[]} */
const THEMES = ['auto', 'light', 'dark'];

/** @param {string} name */
function remembered(name) {
  try {
    return localStorage.getItem(`wxgate.${name}`);
  } catch {
    return null; // storage is forbidden here
  }
}

/** @param {string} name @param {string} value */
function remember(name, value) {
  try {
    localStorage.setItem(`wxgate.${name}`, value);
  } catch { /* the choice holds while the page is open */ }
}

/** @returns {Language} */
export function language() {
  const chosen = remembered('language') ?? '';
  if (chosen in WORDS) return /** @type {Language} */ (chosen);
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

/** @param {Language} chosen */
export const setLanguage = (chosen) => remember('language', chosen);

/** @returns {Theme} */
export const theme = () => THEMES.find((known) => known === remembered('theme')) ?? 'auto';

/** The one after it, where a switch goes round. @param {Theme} before */
export const nextTheme = (before) => THEMES[(THEMES.indexOf(before) + 1) % THEMES.length];

/** @param {Theme} chosen */
export function setTheme(chosen) {
  remember('theme', chosen);
  applyTheme(chosen);
}

/** @param {Theme} chosen */
export function applyTheme(chosen) {
  document.documentElement.dataset.theme = chosen;
}
