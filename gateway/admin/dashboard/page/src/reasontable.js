// Refusals of the gateway, the most frequent first.
import { code } from './dom.js';
import { REASONS } from './reasons.js';
import { Table } from './table.js';

/** @typedef {import('./page.js').Context} Context @typedef {{reason: string, status: number, count: number}} Refusals */

export class ReasonTable {
  /** @param {Context} context */
  constructor(context) {
    const { t, f, history } = context;
    this.context = context;
    const lately = (/** @type {Refusals} */ { reason, status }) => history.grown((reading) => (
      reading.reasons ?? []).find((other) => other.reason === reason && other.status === status)?.count);
    /** @type {Table<Refusals>} */
    this.table = new Table({
      name: t('reasons'), empty: t('reasons.none'), key: ({ reason, status }) => `${status} ${reason}`, sort: { column: 3, falling: true }, columns: [
        { title: t('reason'), class: 'name', node: ({ reason }) => code(reason), order: ({ reason }) => reason },
        { title: t('status'), numeric: true, text: ({ status }) => String(status), order: ({ status }) => status },
        { title: t('count.minute'), numeric: true, text: (row) => f.count(lately(row)), order: lately },
        { title: t('count.start'), numeric: true, text: ({ count }) => f.count(count), order: ({ count }) => count },
        { title: t('meaning'), class: 'prose', text: ({ reason }) => meaning(context, reason) },
      ],
    });
    this.element = this.table.element;
  }

  update() {
    this.table.update((this.context.history.newest?.reasons ?? []).filter(({ count }) => count > 0));
  }
}

/** @param {Context} context @param {string} reason */
export const meaning = ({ t, language }, reason) => REASONS[language][reason] ?? t('unexplained');
