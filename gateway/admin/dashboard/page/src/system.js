// What the gateway stands on: storage, backups, certificates, and the configuration that is in force.
import { readConfiguration } from './api.js';
import { badge, button, code, el, facts, panel, said, setText } from './dom.js';
import { NOTHING } from './format.js';
import { Table } from './table.js';

/** @typedef {import('./page.js').Context} Context @typedef {import('./api.js').Dashboard} Dashboard */
/** @typedef {{name: string, cert: string, expires_at: string, now: string}} CertificateRow */

const DAY = 86400e3;
const SOON = 14; // days: a certificate that ends sooner should have been renewed

export class System {
  /** @param {Context} context */
  constructor(context) {
    const { t } = context;
    this.context = context;
    this.storage = el('div');
    this.backup = el('div');
    this.shown = { storage: '', backup: '' };
    /** @type {import('./api.js').Configuration | undefined} undefined: not read yet */
    this.configuration = undefined;
    this.certificates = certificateTable(context);
    this.reloads = reloadTable(context);
    this.yaml = el('pre', { class: 'yaml', tabIndex: 0, 'aria-label': t('config') });
    this.file = el('code', {});
    this.element = el('div', { class: 'view' },
      el('div', { class: 'pair' }, panel(t('storage'), {}, this.storage), panel(t('backup'), {}, this.backup)),
      panel(t('certificates'), {}, this.certificates.element),
      panel(t('reloads'), {}, this.reloads.element),
      panel(t('config'), { note: t('config.note'), tools: el('span', { class: 'tools' }, this.file, this.copyButton()) }, this.yaml));
  }

  copyButton() {
    const { t, say } = this.context;
    return button(t('copy'), () => {
      navigator.clipboard?.writeText(this.yaml.textContent ?? '').then(() => say(t('copied')), () => getSelection()?.selectAllChildren(this.yaml));
    }, 'small');
  }

  /** Reads the configuration when it has changed. */
  async read() {
    const { newest } = this.context.history;
    if (newest?.reloaded_at !== this.configuration?.reloads?.[0]?.at) this.configuration = await readConfiguration();
  }

  update() {
    const now = this.context.history.newest;
    if (!now) return;
    this.show('storage', storageFacts(this.context, now));
    this.show('backup', backupFacts(this.context, now));
    this.certificates.update((now.certificates ?? []).map((certificate) => ({ ...certificate, now: now.now })));
    if (!this.configuration) return;
    this.reloads.update((this.configuration.reloads ?? []).map((reload, i) => ({ ...reload, i })));
    setText(this.file, this.configuration.file);
    setText(this.yaml, this.configuration.yaml);
  }

  /** Builds a list of facts anew when one has changed. @param {'storage' | 'backup'} name @param {[string, Node | string][]} rows */
  show(name, rows) {
    const text = rows.map(([, value]) => (typeof value === 'string' ? value : value.textContent)).join('\n');
    if (text !== this.shown[name]) this[name].replaceChildren(facts(rows));
    this.shown[name] = text;
  }
}

/** @param {Context} context @param {Dashboard} now @returns {[string, Node | string][]} */
function storageFacts({ t, f }, { storage }) {
  return [
    [t('storage.driver'), storage.driver], [t('storage.place'), code(storage.place)], [t('storage.bytes'), storage.bytes > 0 ? f.bytes(storage.bytes) : NOTHING],
    [t('storage.writable'), storage.writable ? badge('good', t('storage.writable.yes')) : badge('bad', t('storage.writable.no'))],
  ];
}

/** @param {Context} context @param {Dashboard} now @returns {[string, Node | string][]} */
function backupFacts({ t, f }, { backup, now }) {
  return [
    [t('backup.every'), backup.every_seconds > 0 ? f.length(backup.every_seconds) : badge('idle', t('backup.off'))],
    [t('backup.last'), backup.last ? `${f.moment(backup.last)} · ${f.since(backup.last, now)}` : t('backup.never')],
    [t('backup.failures'), backup.failures > 0 ? badge('bad', f.count(backup.failures)) : f.count(backup.failures)],
  ];
}

/** @param {Context} context @returns {Table<CertificateRow>} */
function certificateTable({ t, f }) {
  const days = (/** @type {CertificateRow} */ row) => Math.floor((Date.parse(row.expires_at) - Date.parse(row.now)) / DAY);
  const left = (/** @type {CertificateRow} */ row) => {
    if (!row.expires_at) return badge('warn', t('certificate.missing'));
    const kind = days(row) < 0 ? 'bad' : days(row) < SOON ? 'warn' : 'good';
    return badge(kind, days(row) < 0 ? t('certificate.expired') : f.count(days(row)));
  };
  return new Table({
    name: t('certificates'), empty: t('certificates.none'), key: ({ name, cert }) => `${name} ${cert}`, sort: { column: 1, falling: false }, columns: [
      { title: t('certificate.name'), class: 'path', node: ({ name }) => code(name), order: ({ name }) => name },
      { title: t('certificate.left'), numeric: true, node: left, of: (row) => String(days(row)), order: (row) => (row.expires_at ? days(row) : -Infinity) },
      { title: t('certificate.expires'), class: 'time', text: (row) => f.moment(row.expires_at), order: (row) => row.expires_at },
      { title: t('certificate.file'), class: 'path', node: ({ cert }) => code(cert), order: ({ cert }) => cert },
    ],
  });
}

/** @param {Context} context @returns {Table<{at: string, ok: boolean, error: string, i: number}>} */
function reloadTable({ t, f }) {
  return new Table({
    name: t('reloads'), empty: t('reloads.none'), key: ({ at, i }) => `${at} ${i}`, columns: [
      { title: t('reload.at'), class: 'time', text: ({ at }) => f.exactly(at) },
      { title: t('reload.result'), node: ({ ok }) => (ok ? badge('good', t('reload.ok')) : badge('bad', t('reload.refused'))), of: ({ ok }) => String(ok) },
      { title: t('reload.error'), class: 'prose', node: ({ error }) => said(error), of: ({ error }) => error },
    ],
  });
}
