// Routes and where they go, and the targets behind them.
import { readRoutes } from './api.js';
import { badge, code, el, panel } from './dom.js';
import { keyOfRoute } from './overview.js';
import { EMPTY, quantile, share } from './series.js';
import { Table } from './table.js';

/** @typedef {import('./page.js').Context} Context @typedef {import('./api.js').Route} Route @typedef {import('./api.js').Target} Target */
/** @typedef {import('./api.js').Routes} Routes */
/** @typedef {Route & {rate: number | null}} RouteRow @typedef {Target & {upstream: string, breakerOpen: boolean, queue: number}} TargetRow */

export class Traffic {
  /** @param {Context} context */
  constructor(context) {
    const { t } = context;
    this.context = context;
    this.lately = false; // the figures are of the last minute
    /** @type {WeakMap<Routes, Map<string, Route>>} */
    this.found = new WeakMap(); // the routes of a reading by their keys
    this.routes = this.routeTable();
    this.targets = targetTable(context);
    this.element = el('div', { class: 'view' },
      panel(t('routes'), { note: t('routes.note'), tools: this.windowSwitch() }, this.routes.element),
      panel(t('upstreams'), {}, this.targets.element));
  }

  windowSwitch() {
    const { t } = this.context;
    const choices = [false, true].map((lately) => {
      const input = el('input', { type: 'radio', name: 'window', checked: lately === this.lately, change: () => {
        this.lately = lately;
        this.update();
        this.routes.arrange();
      } });
      return el('label', {}, input, el('span', {}, t(lately ? 'window.minute' : 'window.start')));
    });
    return el('div', { class: 'choice', role: 'radiogroup', 'aria-label': t('window.label') }, ...choices);
  }

  /** @param {Route} route @returns {Route} its figures of the stretch of time that is chosen */
  figures(route) {
    if (!this.lately) return route;
    const { routes } = this.context;
    const key = keyOfRoute(route);
    return {
      ...route, requests: routes.grown((reading) => this.find(reading, key)?.requests) ?? 0,
      errors: routes.grown((reading) => this.find(reading, key)?.errors) ?? 0,
      latency: routes.observed((reading) => this.find(reading, key)?.latency ?? EMPTY),
    };
  }

  /** @param {Routes} reading @param {string} key @returns {Route | undefined} */
  find(reading, key) {
    const routes = this.found.get(reading) ?? new Map((reading.routes ?? []).map((route) => [keyOfRoute(route), route]));
    this.found.set(reading, routes);
    return routes.get(key);
  }

  /** @returns {Table<RouteRow>} */
  routeTable() {
    const { t, f } = this.context;
    // The latency is that of all methods of the path: a route without requests has none of its own.
    const of = (/** @type {number} */ q, /** @type {RouteRow} */ { requests, latency }) => (requests > 0 ? quantile(q, latency) : null);
    const at = (/** @type {number} */ q) => (/** @type {RouteRow} */ route) => of(q, route)?.seconds ?? null;
    const latency = (/** @type {number} */ q) => (/** @type {RouteRow} */ route) => f.quantile(of(q, route));
    const failing = (/** @type {RouteRow} */ { errors, requests }) => share(errors, requests);
    return new Table({
      name: t('routes'), empty: t('routes.none'), key: keyOfRoute, sort: { column: 8, falling: true }, columns: [
        { title: t('route'), class: 'path', node: (route) => routeName(this.context, route), of: keyOfRoute, order: ({ path }) => path },
        { title: t('route.to'), class: 'to', node: ({ to }) => code(to), of: ({ to }) => to, order: ({ to }) => to },
        { title: t('route.auth'), class: 'name', text: ({ auth }) => (['required', 'optional', 'none'].includes(auth) ? t(`auth.${auth}`) : auth), order: ({ auth }) => auth },
        { title: t('rate'), numeric: true, text: ({ rate }) => f.rate(rate), order: ({ rate }) => rate },
        { title: t('requests'), numeric: true, text: ({ requests }) => f.count(requests), order: ({ requests }) => requests },
        { title: t('errors'), numeric: true, text: (route) => f.percent(failing(route)), order: failing },
        { title: 'p50', numeric: true, text: latency(0.5), order: at(0.5) },
        { title: 'p90', numeric: true, text: latency(0.9), order: at(0.9) },
        { title: 'p99', numeric: true, text: latency(0.99), order: at(0.99) },
      ],
    });
  }

  async read() {
    this.context.routes.add(await readRoutes());
  }

  update() {
    const { history, routes } = this.context;
    if (routes.newest) {
      this.routes.update((routes.newest.routes ?? []).map((route) => {
        const key = keyOfRoute(route);
        const rate = routes.rate((reading) => this.find(reading, key)?.requests);
        return { ...this.figures(route), rate };
      }));
    }
    if (!history.newest) return;
    this.targets.update((history.newest.upstreams ?? []).flatMap(({ name, breaker_open: breakerOpen, queue, targets }) => (
      (targets ?? []).map((target) => ({ ...target, upstream: name, breakerOpen, queue })))));
  }
}

/** @param {Context} context @param {Route} route */
function routeName({ t }, { path, host, methods }) {
  return el('span', { class: 'route' }, code(host + path),
    el('small', {}, methods?.length ? methods.join(' ') : t('route.methods.any')));
}

/** @param {Context} context @returns {Table<TargetRow>} */
function targetTable({ t, f }) {
  const kind = (/** @type {TargetRow} */ { up, breakerOpen }) => (up && !breakerOpen ? 'good' : 'bad');
  const words = (/** @type {TargetRow} */ { up, breakerOpen }) => t(up ? 'target.up' : 'target.down') + (breakerOpen ? ` · ${t('breaker.open')}` : '');
  return new Table({
    name: t('upstreams'), empty: t('upstreams.none'), key: ({ upstream, url }) => `${upstream} ${url}`, sort: { column: 0, falling: false }, columns: [
      { title: t('upstream'), class: 'name', node: ({ upstream }) => code(upstream), order: ({ upstream }) => upstream },
      { title: t('target'), class: 'path', node: ({ url }) => code(url), order: ({ url }) => url },
      { title: t('health'), node: (target) => badge(kind(target), words(target)), of: words, order: kind },
      { title: t('in_flight'), numeric: true, text: (target) => f.count(target.in_flight), order: (target) => target.in_flight },
      { title: t('latency'), numeric: true, text: (target) => f.duration(target.latency_seconds || null), order: (target) => target.latency_seconds || null },
      { title: t('ejections'), numeric: true, text: ({ ejections }) => f.count(ejections), order: ({ ejections }) => ejections },
      { title: t('queue'), numeric: true, text: ({ queue }) => f.count(queue), order: ({ queue }) => queue },
    ],
  });
}
