// What stands around every view: the state of the gateway, the sections, language and theme, and what is announced.
import { badge, button, el, setText } from './dom.js';
import { nextTheme, setLanguage, setTheme, theme } from './look.js';

/** @typedef {import('./page.js').Context} Context */

export const VIEWS = ['overview', 'traffic', 'logins', 'users', 'system'];
const SAID_FOR = 5000; // milliseconds that an announcement stays

export class Frame {
  /** @param {Context} context @param {{relanguage: () => void, recolor: () => void}} on what to do when a switch was pressed */
  constructor({ t, language }, { relanguage, recolor }) {
    this.t = t;
    this.links = VIEWS.map((name) => el('a', { href: `#/${name}` }, t(`view.${name}`)));
    this.nav = el('nav', { 'aria-label': t('nav') }, ...this.links);
    this.state = el('span', { class: 'state', role: 'status' });
    this.account = el('span', { class: 'account' });
    this.banner = el('div', { class: 'banner', role: 'alert' });
    this.content = el('main', { id: 'main', tabIndex: -1 });
    this.toast = el('div', { class: 'toast', role: 'status' });
    const tools = el('div', { class: 'tools' }, languageButton({ t, language }, relanguage), themeButton(t, recolor), this.account);
    const skip = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.content.focus();
    };
    this.elements = [
      el('a', { class: 'skip', href: '#main', click: skip }, t('skip')),
      el('header', {}, el('div', { class: 'bar' }, el('span', { class: 'brand' }, 'wxgate'), this.state, this.nav, tools)),
      this.banner, this.content, this.toast,
    ];
  }

  /** Shows an element as the content, under a title. @param {string} title @param {HTMLElement} element @param {string} [view] its name */
  show(title, element, view) {
    document.title = this.t('title', { view: title });
    this.content.replaceChildren(element);
    this.links.forEach((link, i) => {
      if (VIEWS[i] === view) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    });
  }

  /** @param {Parameters<typeof badge>[0]} kind @param {string} text '': nothing is known */
  showState(kind, text) {
    if (this.state.textContent !== text) this.state.replaceChildren(...text ? [badge(kind, text)] : []);
  }

  /** @param {string} kind warn or bad @param {string} title '': no banner @param {string[]} lines */
  showBanner(kind, title, lines) {
    if (this.banner.textContent === title + lines.join('') && this.banner.classList.contains(kind)) return;
    this.banner.className = `banner ${title && kind}`;
    this.banner.replaceChildren(...title ? [el('strong', {}, title), ...lines.map((line) => el('p', {}, line))] : []);
  }

  /** Announces what was done. @param {string} text */
  say(text) {
    clearTimeout(this.silence);
    setText(this.toast, text);
    this.silence = setTimeout(() => setText(this.toast, ''), SAID_FOR);
  }
}

/** @param {Pick<Context, 't' | 'language'>} context @param {() => void} relanguage */
function languageButton({ t, language }, relanguage) {
  const element = button(t('language.other'), () => {
    setLanguage(language === 'zh' ? 'en' : 'zh');
    relanguage();
    document.getElementById('language')?.focus(); // the one that has taken its place
  }, 'plain');
  element.id = 'language';
  element.lang = language === 'zh' ? 'en' : 'zh-CN';
  return element;
}

/** @param {Context['t']} t @param {() => void} recolor */
function themeButton(t, recolor) {
  const name = () => {
    element.title = t(`theme.${theme()}`);
    element.setAttribute('aria-label', element.title);
  };
  const element = button('', () => {
    setTheme(nextTheme(theme()));
    name();
    recolor();
  }, 'plain theme');
  name();
  return element;
}
