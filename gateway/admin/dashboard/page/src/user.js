// One user: who they are, where they are logged in, and what can be done about it.
import * as api from './api.js';
import { confirm } from './dialog.js';
import { badge, button, code, el, facts, panel, said } from './dom.js';
import { Table } from './table.js';
import { stateOf } from './users.js';
import { plain } from './visible.js';

/** @typedef {import('./page.js').Context} Context @typedef {import('./api.js').Account} Account @typedef {import('./api.js').Device} Device */

const BANS = [['24h', '1d'], ['7d', '7d'], ['30d', '30d'], ['', 'forever']]; // what the API is told, and the word for it
const FOREVER = 50 * 365 * 86400e3; // a ban that ends later was meant without an end

// The devices that the gateway names in Chinese, and the words for them.
const DEVICES = new Map([['其他设备', 'device.other'], ['微信开发者工具', 'device.devtools'], ['微信 Windows', 'device.windows'], ['微信 Mac', 'device.mac']]);

/** The word for a device, '' for one that has a name. @param {string} device */
const wordOf = (device) => (device ? DEVICES.get(device) ?? '' : 'device.unknown');

export class UserView {
  /** @param {Context} context @param {number} id */
  constructor(context, id) {
    const { t } = context;
    this.context = context;
    this.id = id;
    /** @type {Device[]} */
    this.found = [];
    this.wrong = el('p', { class: 'wrong', role: 'alert' });
    this.about = el('div', { class: 'about' });
    this.acts = el('div', { class: 'buttons' });
    this.devices = this.deviceTable();
    this.more = button(t('users.more'), () => this.loadDevices(this.after), 'small');
    this.more.hidden = true;
    this.endAll = button(t('devices.end'), () => this.askEndAll(), 'small danger-quiet');
    this.endAll.hidden = true;
    this.element = el('div', { class: 'view' },
      el('a', { href: '#/users', class: 'back' }, '← ', t('user.back')), this.wrong,
      panel(t('user.title', { id }), { tools: this.acts }, this.about),
      panel(t('devices'), { note: t('devices.note'), tools: this.endAll }, this.devices.element, this.more));
    this.load();
  }

  update() { /* shown anew after each act */ }

  async load() {
    try {
      this.show(await api.readUser(this.id));
      await this.loadDevices();
      this.wrong.textContent = '';
    } catch (error) {
      this.gone(error);
    }
  }

  /** @param {unknown} error */
  gone(error) {
    this.wrong.textContent = this.context.explain(error);
    this.acts.replaceChildren();
    this.endAll.hidden = true;
  }

  /** @param {string} [after] */
  async loadDevices(after) {
    const { sessions, next } = await api.listDevices(this.id, after);
    this.found = after ? this.found.concat(sessions) : sessions;
    this.after = next ?? undefined;
    this.more.hidden = next === null;
    this.endAll.hidden = this.found.length === 0;
    this.devices.update(this.found);
  }

  /** @param {Account} account */
  show(account) {
    const { t } = this.context;
    this.about.replaceChildren(facts(factsOf(this.context, account)));
    this.acts.replaceChildren(
      account.banned_until ? button(t('user.unban'), () => this.askUnban(), 'small') : button(t('user.ban'), () => this.askBan(), 'small danger-quiet'),
      button(t('user.erase'), () => this.askErase(), 'small danger-quiet'));
  }

  /** @returns {Table<Device>} */
  deviceTable() {
    const { t, f } = this.context;
    return new Table({
      name: t('devices'), empty: t('devices.none'), key: ({ id }) => id, columns: [
        { title: t('device'), class: 'nickname', node: ({ device }) => (wordOf(device) ? el('span', { class: device ? '' : 'muted' }, t(wordOf(device))) : said(device)) },
        { title: t('device.created'), class: 'time', text: ({ created_at: at }) => f.moment(at) },
        { title: t('device.refreshed'), class: 'time', text: ({ refreshed_at: at }) => f.moment(at) },
        { title: t('device.expires'), class: 'time', text: ({ expires_at: at }) => f.moment(at) },
        { title: '', class: 'act', node: (device) => {
          const end = button(t('device.end'), () => this.askEnd(device), 'small danger-quiet');
          end.setAttribute('aria-label', t('device.end.label', { device: this.nameOf(device) }));
          return end;
        } },
      ],
    });
  }

  /** @param {Device} device */
  nameOf({ device }) {
    return wordOf(device) ? this.context.t(wordOf(device)) : plain(device);
  }

  /** @param {Device} device */
  askEnd(device) {
    const { t, explain } = this.context;
    return this.ask('end', { device: this.nameOf(device) }, async () => {
      await api.endSession(device.id);
      return {};
    }, { explain: (error) => (error instanceof api.ApiError && error.status === 404 ? t('error.session_gone') : explain(error)) });
  }

  askEndAll() {
    return this.ask('end_all', {}, async () => ({ count: (await api.endSessions(this.id)).ended }));
  }

  askBan() {
    const { t } = this.context;
    /** @type {[string, string][]} */
    const options = BANS.map(([length, word]) => [length, t(`ban.${word}`)]);
    return this.ask('ban', {}, (length) => api.ban(this.id, length), { choices: { label: t('confirm.ban.length'), options } });
  }

  askUnban() {
    return this.ask('unban', {}, () => api.liftBan(this.id), { harmless: true });
  }

  async askErase() {
    const typed = { label: this.context.t('confirm.erase.type', { id: this.id }), value: String(this.id) };
    if (await this.ask('erase', {}, () => api.erase(this.id), { typed })) location.hash = '#/users';
  }

  /**
   * Asks whether an act is meant, does it, and shows the user anew.
   * @param {string} name of the words @param {Record<string, string>} values @param {(choice: string) => Promise<any>} act
   * @param {Partial<Parameters<typeof confirm>[0]>} [more]
   */
  async ask(name, values, act, more = {}) {
    const { t, say, explain, ensureSession } = this.context;
    if (!await ensureSession()) return false;
    const named = { id: this.id, ...values };
    let told = {};
    const isDone = await confirm({
      title: t(`confirm.${name}.title`, named), text: t(`confirm.${name}.text`, named), cancel: t('confirm.cancel'), confirm: t(`confirm.${name}.do`), explain,
      act: async (choice) => { told = await act(choice) ?? {}; }, ...more,
    });
    if (!isDone) return false;
    say(t(`done.${name}`, { ...told, id: this.id }));
    if (name !== 'erase') await this.load();
    return true;
  }
}

/** @param {Context} context @param {Account} account @returns {[string, Node | string][]} */
function factsOf({ t, f }, account) {
  /** @type {[string, Node | string | undefined | ''][]} */
  const rows = [
    [t('user.nickname'), account.nickname ? said(account.nickname) : el('span', { class: 'muted' }, t('user.nickname.none'))],
    [t('user.state'), state({ t, f }, account)],
    [t('user.openid'), code(account.openid)],
    [t('user.unionid'), account.unionid && code(account.unionid)],
    [t('user.appid'), code(account.appid)],
    [t('user.accounts'), account.accounts?.length ? account.accounts.join(', ') : ''],
    [t('user.created'), f.moment(account.created_at)],
    [t('user.updated'), f.moment(account.updated_at)],
    [t('user.bio'), account.bio && said(account.bio)],
  ];
  return /** @type {[string, Node | string][]} */ (rows.filter(([, value]) => value));
}

/** @param {Pick<Context, 't' | 'f'>} context @param {Account} account */
function state({ t, f }, account) {
  const until = account.banned_until;
  const ends = until && Date.parse(until) - Date.now() < FOREVER;
  return el('span', { class: 'states' }, ends ? badge('bad', t('user.banned.until', { time: f.moment(until) })) : stateOf({ t }, account),
    account.linked_to ? badge('idle', t('user.linked', { id: account.linked_to })) : null,
    account.deletes_at ? badge('warn', t('user.deletes', { time: f.moment(account.deletes_at) })) : null);
}
