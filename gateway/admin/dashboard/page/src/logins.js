// Logins: how many get how far, what WeChat answers, and refreshes.
import { code, el, panel, setText } from './dom.js';
import { ERRCODES, REASONS } from './reasons.js';
import { meaning } from './reasontable.js';
import { share } from './series.js';
import { Table } from './table.js';

/** @typedef {import('./page.js').Context} Context @typedef {import('./api.js').Outcome} Outcome */
/** @typedef {{api: string, errcode: string, count: number}} Answers */

const REFUSED_BEFORE_WECHAT = ['invalid_request', 'rate_limited', 'cloud_identity_missing', 'web_login_invalid'];
const REFUSED_BY_WECHAT = /^wx_|^snapshot_user$/;

/**
 * How many logins came to each stage.
 * @param {Outcome[]} logins @returns {{asked: number, sent: number, accepted: number, ok: number}}
 */
export function funnel(logins) {
  const sum = (/** @type {(result: string) => boolean} */ counts) => (
    logins.filter(({ result }) => counts(result)).reduce((all, { count }) => all + count, 0));
  const isSent = (/** @type {string} */ result) => !REFUSED_BEFORE_WECHAT.includes(result);
  return {
    asked: sum(() => true), sent: sum(isSent), accepted: sum((result) => isSent(result) && !REFUSED_BY_WECHAT.test(result)), ok: sum((result) => result === 'ok'),
  };
}

export class Logins {
  /** @param {Context} context */
  constructor(context) {
    const { t } = context;
    this.context = context;
    this.stages = (/** @type {const} */ (['asked', 'sent', 'accepted', 'ok'])).map((name) => ({ name, ...stage(t(`funnel.${name}`)) }));
    this.logins = outcomeTable(context, 'logins');
    this.refreshes = outcomeTable(context, 'refreshes');
    this.weChat = answerTable(context);
    this.element = el('div', { class: 'view' },
      el('div', { class: 'pair' },
        panel(t('funnel'), { note: t('funnel.note') }, el('div', { class: 'funnel' }, ...this.stages.map(({ element }) => element))),
        panel(t('refreshes'), { note: t('funnel.note') }, this.refreshes.element)),
      panel(t('logins'), { note: t('funnel.note') }, this.logins.element),
      panel(t('wechat'), { note: t('wechat.note') }, this.weChat.element));
  }

  update() {
    const now = this.context.history.newest;
    if (!now) return;
    const { f } = this.context;
    const counts = funnel(now.logins ?? []);
    for (const { name, bar, value } of this.stages) {
      const part = share(counts[name], counts.asked);
      bar.style.width = `${(part ?? 0) * 100}%`;
      setText(value, part === null ? f.count(counts[name]) : `${f.count(counts[name])} · ${f.percent(part)}`);
    }
    this.logins.update(happened(now.logins));
    this.refreshes.update(happened(now.refreshes));
    this.weChat.update(happened(now.wechat));
  }
}

/** @template {{count: number}} T @param {T[] | null} rows */
const happened = (rows) => (rows ?? []).filter(({ count }) => count > 0);

/** @param {string} name */
function stage(name) {
  const bar = el('span', { class: 'fill' });
  const value = el('b', {});
  return { bar, value, element: el('div', { class: 'stage' }, el('span', { class: 'name' }, name), value, el('span', { class: 'track', 'aria-hidden': 'true' }, bar)) };
}

/** @param {Context} context @param {string} result */
const meaningOf = (context, result) => (['ok', 'error'].includes(result) ? context.t(`result.${result}`) : meaning(context, result));

/** @param {Context} context @param {'logins' | 'refreshes'} name @returns {Table<Outcome>} */
function outcomeTable(context, name) {
  const { t, f, history } = context;
  const all = () => (history.newest?.[name] ?? []).reduce((sum, { count }) => sum + count, 0);
  const lately = (/** @type {Outcome} */ { result }) => history.grown((reading) => (reading[name] ?? []).find((other) => other.result === result)?.count);
  return new Table({
    name: t(name), empty: t(`${name}.none`), key: ({ result }) => result, sort: { column: 2, falling: true }, columns: [
      { title: t('result'), class: 'name', node: ({ result }) => code(result), order: ({ result }) => result },
      { title: t('count.minute'), numeric: true, text: (row) => f.count(lately(row)), order: lately },
      { title: t('count'), numeric: true, text: ({ count }) => f.count(count), order: ({ count }) => count },
      { title: t('share'), numeric: true, text: ({ count }) => f.percent(share(count, all())), order: ({ count }) => count },
      { title: t('meaning'), class: 'prose', text: ({ result }) => meaningOf(context, result) },
    ],
  });
}

/** @param {Context} context @returns {Table<Answers>} */
function answerTable(context) {
  const { t, f, language, history } = context;
  const explain = (/** @type {string} */ errcode) => (errcode === '0' ? t('result.ok') : REASONS[language][ERRCODES[errcode] ?? errcode] ?? t('unexplained'));
  const lately = (/** @type {Answers} */ { api, errcode }) => history.grown((reading) => (
    reading.wechat ?? []).find((other) => other.api === api && other.errcode === errcode)?.count);
  return new Table({
    name: t('wechat'), empty: t('wechat.none'), key: ({ api, errcode }) => `${api} ${errcode}`, sort: { column: 3, falling: true }, columns: [
      { title: t('wechat.api'), class: 'name', node: ({ api }) => code(api), order: ({ api }) => api },
      { title: 'errcode', class: 'name', node: ({ errcode }) => code(errcode), order: ({ errcode }) => errcode },
      { title: t('count.minute'), numeric: true, text: (row) => f.count(lately(row)), order: lately },
      { title: t('count'), numeric: true, text: ({ count }) => f.count(count), order: ({ count }) => count },
      { title: t('meaning'), class: 'prose', text: ({ errcode }) => explain(errcode) },
    ],
  });
}
