// The first view: is it well, and how much does it do.
import { badge, code, el, panel, setText } from './dom.js';
import { Plot } from './plot.js';
import { quantile, share } from './series.js';
import { ReasonTable } from './reasontable.js';
import { Table } from './table.js';

/** @typedef {import('./page.js').Context} Context @typedef {import('./api.js').Route} Route @typedef {import('./api.js').Upstream} Upstream */

export class Overview {
  /** @param {Context} context */
  constructor(context) {
    const { t, f } = context;
    this.context = context;
    this.tiles = ['requests', 'errors', 'latency', 'overhead', 'in_flight', 'uptime'].map((name) => new Tile(t(`tile.${name}`)));
    const clock = f.clock;
    this.rates = new Plot({
      title: t('plot.rate'), note: t('plot.note'), clock, format: f.rate, tick: f.number, lines: [
        { label: t('plot.requests'), of: 'requests', color: '--line-1', filled: true }, { label: t('plot.errors'), of: 'errors', color: '--line-bad' },
      ],
    });
    this.latencies = new Plot({
      title: t('plot.latency'), note: t('plot.note'), clock, format: f.duration, tick: f.durationTick, lines: [
        { label: 'p50', of: 'p50', color: '--line-1' }, { label: 'p90', of: 'p90', color: '--line-2' }, { label: 'p99', of: 'p99', color: '--line-3' },
      ],
    });
    this.slowest = slowestTable(context);
    this.reasons = new ReasonTable(context);
    this.upstreams = upstreamTable(context);
    const all = el('a', { href: '#/traffic', class: 'more' }, t('slowest.all'));
    this.element = el('div', { class: 'view' },
      el('div', { class: 'tiles' }, ...this.tiles.map((tile) => tile.element)),
      el('div', { class: 'pair' }, this.rates.element, this.latencies.element),
      el('div', { class: 'pair' },
        panel(t('slowest'), { note: t('slowest.note'), tools: all }, this.slowest.element),
        panel(t('upstreams'), {}, this.upstreams.element)),
      panel(t('reasons'), { note: t('reasons.note') }, this.reasons.element));
  }

  update() {
    const { history, t, f } = this.context;
    const now = history.newest;
    if (!now) return;
    const { traffic } = now;
    const requests = history.grown((reading) => reading.traffic.requests);
    const errors = history.grown((reading) => reading.traffic.errors);
    const latency = history.observed((reading) => reading.traffic.latency);
    const p99 = (/** @type {'overhead' | 'upstream'} */ of) => f.quantile(quantile(0.99, history.observed((reading) => reading.traffic[of])));
    const faulty = errors !== null && errors > 0;
    const figures = [
      [f.rate(history.rate((reading) => reading.traffic.requests)), t('tile.requests.sub', { count: f.count(traffic.requests) })],
      [requests === null ? f.percent(null) : f.percent(share(errors ?? 0, requests) ?? 0), t('tile.errors.sub', { count: f.count(traffic.errors) })],
      [f.quantile(quantile(0.99, latency)), t('tile.latency.sub', { p50: f.quantile(quantile(0.5, latency)) })],
      [p99('overhead'), t('tile.overhead.sub', { p99: p99('upstream') })],
      [f.count(traffic.in_flight), t('tile.in_flight.sub', { count: f.count(traffic.connections) })],
      [f.length((Date.parse(now.now) - Date.parse(now.started_at)) / 1000), t('tile.uptime.sub', { version: now.version })],
    ];
    this.tiles.forEach((tile, i) => tile.show(figures[i][0], figures[i][1]));
    this.tiles[1].element.classList.toggle('bad', faulty);
    this.rates.update(history.points);
    this.latencies.update(history.points);
    this.slowest.update(now.slowest ?? []);
    this.upstreams.update(now.upstreams ?? []);
    this.reasons.update();
  }

  recolor() {
    this.rates.recolor();
    this.latencies.recolor();
  }

  destroy() {
    this.rates.destroy();
    this.latencies.destroy();
  }
}

class Tile {
  /** @param {string} title */
  constructor(title) {
    this.value = el('strong', {}, '–');
    this.sub = el('small', {}, '\u00a0');
    this.element = el('div', { class: 'tile' }, el('span', {}, title), this.value, this.sub);
  }

  /** @param {string} value @param {string} sub */
  show(value, sub) {
    setText(this.value, value);
    setText(this.sub, sub);
  }
}

/** @param {Route} route */
export const keyOfRoute = (route) => `${route.host} ${(route.methods ?? []).join()} ${route.path}`;

/** @param {Context} context @returns {Table<Route>} */
function slowestTable({ t, f }) {
  return new Table({
    name: t('slowest'), empty: t('none.yet'), key: keyOfRoute, columns: [
      { title: t('route'), class: 'path', node: (route) => code(route.path), of: (route) => route.path },
      { title: 'p50', numeric: true, text: ({ latency }) => f.quantile(quantile(0.5, latency)) },
      { title: 'p99', numeric: true, text: ({ latency }) => f.quantile(quantile(0.99, latency)) },
      { title: t('requests'), numeric: true, text: ({ requests }) => f.count(requests) },
    ],
  });
}

/** @param {Context} context @returns {Table<Upstream>} */
function upstreamTable({ t, f }) {
  const up = (/** @type {Upstream} */ { targets }) => (targets ?? []).filter((target) => target.up).length;
  const words = (/** @type {Upstream} */ upstream) => {
    const all = upstream.targets?.length ?? 0;
    const text = t('upstream.up', { up: up(upstream), all });
    return upstream.breaker_open ? `${t('breaker.open')} · ${text}` : text;
  };
  const kind = (/** @type {Upstream} */ upstream) => {
    if (upstream.breaker_open || up(upstream) === 0) return 'bad';
    return up(upstream) < (upstream.targets?.length ?? 0) ? 'warn' : 'good';
  };
  return new Table({
    name: t('upstreams'), empty: t('upstreams.none'), key: ({ name }) => name, columns: [
      { title: t('upstream'), class: 'name', node: ({ name }) => code(name) },
      { title: t('health'), node: (upstream) => badge(kind(upstream), words(upstream)), of: (upstream) => kind(upstream) + words(upstream) },
      { title: t('in_flight'), numeric: true, text: ({ targets }) => f.count((targets ?? []).reduce((sum, target) => sum + target.in_flight, 0)) },
    ],
  });
}
