// Finding users.
import * as api from './api.js';
import { badge, button, code, el, panel, said } from './dom.js';
import { Table } from './table.js';

/** @typedef {import('./page.js').Context} Context @typedef {import('./api.js').Account} Account @typedef {import('./api.js').UserPage} UserPage */

const PAGE = '20';

/**
 * What to ask for, one after another until somebody is found. A text of digits may be an id or a nickname.
 * @param {string} by any, id, openid or nickname @param {string} text @returns {('id' | 'openid' | 'nickname' | 'all')[]}
 */
export function questions(by, text) {
  if (text === '') return ['all'];
  if (by === 'id' || by === 'openid' || by === 'nickname') return [by];
  if (/^\d{1,16}$/.test(text)) return ['id', 'nickname'];
  return /^[\x21-\x7e]{20,64}$/.test(text) ? ['openid', 'nickname'] : ['nickname'];
}

/** @type {UserPage} */
const NOBODY = { users: [], next: null };

/**
 * @param {'id' | 'openid' | 'nickname' | 'all'} by @param {string} text @param {number | null} after the end of the page before, null: there is none
 * @returns {Promise<UserPage>}
 */
async function ask(by, text, after) {
  if (by === 'openid') return api.listUsers({ openid: text });
  if (by !== 'id') return api.listUsers({ ...(by === 'nickname' ? { nickname: text } : {}), limit: PAGE, ...(after === null ? {} : { after: String(after) }) });
  try {
    return { users: [await api.readUser(text)], next: null };
  } catch (error) {
    if (error instanceof api.ApiError && (error.status === 404 || error.status === 400)) return NOBODY;
    throw error;
  }
}

/**
 * The pages of what a search finds. One without users is not the end: the gateway looks at some thousand nicknames for one answer.
 * @param {string} by @param {string} text @param {typeof ask} [from] @returns {AsyncGenerator<UserPage, void>}
 */
export async function* pages(by, text, from = ask) {
  for (const question of questions(by, text)) {
    let found = false;
    for (let page = await from(question, text, null); ; page = await from(question, text, page.next)) {
      found ||= page.users.length > 0;
      if (page.users.length > 0 || page.next !== null) yield page;
      if (page.next === null) break;
    }
    if (found) return;
  }
}

export class Users {
  /** @param {Context} context @param {{by: string, text: string}} search what was searched for before, and is again */
  constructor(context, search) {
    const { t } = context;
    this.context = context;
    this.search = search;
    /** @type {Account[]} */
    this.found = [];
    this.pages = pages(search.by, search.text);
    this.table = userTable(context);
    this.more = button(t('users.more'), () => this.load(), 'small');
    this.more.hidden = true;
    this.wrong = el('p', { class: 'wrong', role: 'alert' });
    this.element = el('div', { class: 'view' }, panel(t('users'), {}, this.form(), this.wrong, this.table.element, this.more));
    this.find();
  }

  form() {
    const { t } = this.context;
    const text = el('input', { type: 'search', id: 'find', value: this.search.text, placeholder: t('users.find.hint'), autocomplete: 'off', spellcheck: false, maxLength: 64 });
    const by = el('select', { 'aria-label': t('users.by') }, ...['any', 'id', 'openid', 'nickname'].map((value) => (
      el('option', { value, selected: value === this.search.by }, t(`users.by.${value}`)))));
    const submit = (/** @type {Event} */ event) => {
      event.preventDefault();
      Object.assign(this.search, { by: by.value, text: text.value.trim() });
      this.find();
    };
    return el('form', { class: 'find', role: 'search', submit }, el('label', { for: 'find', class: 'hidden' }, t('users.find')), by, text,
      el('button', { type: 'submit', class: 'button primary' }, t('users.search')));
  }

  find() {
    this.found = [];
    this.pages = pages(this.search.by, this.search.text);
    this.load();
  }

  /** Shows the next page with users, unless another search has begun meanwhile. */
  async load() {
    const { pages: mine } = this;
    let page = NOBODY;
    let wrong = '';
    this.element.setAttribute('aria-busy', 'true');
    try {
      do {
        page = (await mine.next()).value ?? NOBODY;
      } while (page.users.length === 0 && page.next !== null && mine === this.pages);
    } catch (error) {
      wrong = this.context.explain(error);
    }
    if (mine !== this.pages) return;
    this.found = this.found.concat(page.users);
    this.more.hidden = page.next === null;
    this.wrong.textContent = wrong;
    this.table.update(this.found);
    this.element.removeAttribute('aria-busy');
  }

  destroy() {
    this.pages = pages('id', ''); // whose first page nobody asks for
  }

  update() { /* people do not change every two seconds */ }
}

/** @param {Context} context @returns {Table<Account>} */
function userTable({ t, f }) {
  return new Table({
    name: t('users'), empty: t('users.none'), key: ({ id }) => String(id), columns: [
      { title: t('user.id'), numeric: true, class: 'id', node: ({ id }) => el('a', { href: `#/users/${id}` }, String(id)) },
      { title: t('user.nickname'), class: 'nickname', node: ({ nickname }) => (nickname ? said(nickname) : el('span', { class: 'muted' }, t('user.nickname.none'))), of: ({ nickname }) => nickname },
      { title: t('user.state'), node: (account) => stateOf({ t }, account), of: (account) => String(account.banned_until) },
      { title: t('user.created'), class: 'time', text: ({ created_at: at }) => f.moment(at) },
      { title: t('user.openid'), class: 'name', node: ({ openid }) => code(openid), of: ({ openid }) => openid },
    ],
  });
}

/** @param {Pick<Context, 't'>} context @param {Account} account */
export function stateOf({ t }, { banned_until: until }) {
  return until ? badge('bad', t('user.banned')) : badge('good', t('user.active'));
}
