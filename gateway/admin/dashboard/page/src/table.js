// A table whose rows stay where they are while their figures change.
import { el, setText } from './dom.js';

/**
 * A column has text, or node with a text of() that says when the node has to be built anew. What order() returns sorts it;
 * null comes last.
 * @template R
 * @typedef {{
 *   title: string, numeric?: boolean, class?: string, text?: (row: R) => string, node?: (row: R) => Node, of?: (row: R) => string,
 *   order?: (row: R) => number | string | null,
 * }} Column
 */

/** @template R */
export class Table {
  /**
   * @param {{name: string, columns: Column<R>[], key: (row: R) => string, empty: string, sort?: {column: number, falling: boolean}}} options
   */
  constructor({ name, columns, key, empty, sort }) {
    this.columns = columns;
    this.key = key;
    this.sort = sort;
    /** @type {R[]} */
    this.rows = [];
    /** @type {Map<string, {element: HTMLTableRowElement, cells: HTMLTableCellElement[], of: string[]}>} */
    this.drawn = new Map();
    this.heads = columns.map((column, i) => el('th', { scope: 'col', class: classOf(column) }, column.order
      ? el('button', { type: 'button', class: 'sort', click: () => this.sortBy(i) }, ...withArrow(column))
      : column.title));
    this.body = el('tbody');
    this.nothing = el('tr', { class: 'nothing' }, el('td', { colspan: columns.length }, empty));
    this.element = el('div', { class: 'scroll', role: 'region', 'aria-label': name, tabIndex: 0 },
      el('table', {}, el('thead', {}, el('tr', {}, ...this.heads)), this.body));
    this.showSort();
    this.body.append(this.nothing);
  }

  /** @param {R[]} rows */
  update(rows) {
    this.rows = rows;
    const keys = new Set(rows.map(this.key));
    for (const [key, { element }] of this.drawn) {
      if (!keys.has(key)) {
        element.remove();
        this.drawn.delete(key);
      }
    }
    for (const row of rows) this.draw(row);
    if (rows.length > 0) this.nothing.remove();
    else this.body.append(this.nothing);
    // Under the pointer or the focus nothing moves.
    if (!this.body.matches(':hover, :focus-within')) this.arrange();
  }

  /** @param {R} row */
  draw(row) {
    const key = this.key(row);
    const drawn = this.drawn.get(key) ?? this.addRow(key);
    this.columns.forEach((column, i) => {
      const cell = drawn.cells[i];
      if (column.text) {
        setText(cell, column.text(row));
      } else if (column.node) {
        const of = column.of ? column.of(row) : key;
        if (drawn.of[i] !== of) cell.replaceChildren(column.node(row));
        drawn.of[i] = of;
      }
    });
  }

  /** @param {string} key */
  addRow(key) {
    const cells = this.columns.map((column) => el('td', { class: classOf(column) }));
    const drawn = { element: el('tr', {}, ...cells), cells, of: [] };
    this.drawn.set(key, drawn);
    this.body.append(drawn.element);
    return drawn;
  }

  /** Puts the rows in order, and moves only those that stand elsewhere. */
  arrange() {
    const order = this.sort && this.columns[this.sort.column].order;
    const rows = order ? sorted(this.rows, order, this.sort?.falling ?? false) : this.rows;
    rows.forEach((row, i) => {
      const element = this.drawn.get(this.key(row))?.element;
      const there = this.body.children[i];
      if (element && there !== element) this.body.insertBefore(element, there ?? null);
    });
  }

  /** @param {number} column */
  sortBy(column) {
    const again = this.sort?.column === column;
    this.sort = { column, falling: again ? !this.sort?.falling : !!this.columns[column].numeric };
    this.showSort();
    this.arrange();
  }

  showSort() {
    this.heads.forEach((head, i) => {
      if (this.sort?.column === i) head.setAttribute('aria-sort', this.sort.falling ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    });
  }
}

/** Figures have the arrow before the word, so that the words end where the figures do. @template R @param {Column<R>} column */
function withArrow({ title, numeric }) {
  const arrow = el('span', { class: 'arrow', 'aria-hidden': 'true' });
  return numeric ? [arrow, title] : [title, arrow];
}

/** @template R @param {Column<R>} column */
const classOf = (column) => `${column.numeric ? 'numeric' : ''} ${column.class ?? ''}`.trim();

/**
 * @template R @param {R[]} rows @param {(row: R) => number | string | null} order @param {boolean} falling
 */
export function sorted(rows, order, falling) {
  return rows.map((row) => ({ row, by: order(row) })).sort((a, b) => {
    if (a.by === null || b.by === null) return Number(a.by === null) - Number(b.by === null);
    const rising = typeof a.by === 'number' ? a.by - Number(b.by) : String(a.by).localeCompare(String(b.by));
    return falling ? -rising : rising;
  }).map(({ row }) => row);
}
