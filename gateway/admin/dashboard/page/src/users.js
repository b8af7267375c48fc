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

/** @param {'id' | 'openid' | 'nickname' | 'all'} by @param {string} text @returns {Promise<UserPage>} */
async function ask(by, text) {
  if (by !== 'id') return api.listUsers(by === 'all' ? { limit: PAGE } : by === 'openid' ? { openid: text } : { nickname: text, limit: PAGE });
  try {
    return { users: [await api.readUser(text)], next: null };
  } catch (error) {
    if (error instanceof api.ApiError && (error.status === 404 || error.status === 400)) return NOBODY;
    throw error;
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
    this.table = userTable(context);
    this.more = button(t('users.more'), () => this.showMore(), 'small');
    this.more.hidden = true;
    this.wrong = el('p', { class: 'wrong', role: 'alert' });
    this.element = el('div', { class: 'view' }, panel(t('users'), {}, this.form(), this.wrong, this.table.element, this.more));
    /** @type {() => Promise<UserPage>} */
    this.nextPage = () => Promise.resolve(NOBODY);
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

  async find() {
    const { by, text } = this.search;
    this.found = [];
    await this.load(async () => {
      for (const question of questions(by, text)) {
        const page = await ask(question, text);
        if (page.users.length > 0) {
          this.nextPage = () => api.listUsers({ ...(question === 'nickname' ? { nickname: text } : {}), limit: PAGE, after: String(this.after) });
          return page;
        }
      }
      return NOBODY;
    });
  }

  showMore() {
    return this.load(this.nextPage);
  }

  /** @param {() => Promise<UserPage>} read */
  async load(read) {
    this.element.setAttribute('aria-busy', 'true');
    try {
      const page = await read();
      this.found = this.found.concat(page.users);
      this.after = page.next;
      this.more.hidden = page.next === null;
      this.wrong.textContent = '';
    } catch (error) {
      this.wrong.textContent = this.context.explain(error);
    }
    this.table.update(this.found);
    this.element.removeAttribute('aria-busy');
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
      { title: t('user.openid'), class: 'path', node: ({ openid }) => code(openid), of: ({ openid }) => openid },
    ],
  });
}

/** @param {Pick<Context, 't'>} context @param {Account} account */
export function stateOf({ t }, { banned_until: until }) {
  return until ? badge('bad', t('user.banned')) : badge('good', t('user.active'));
}
