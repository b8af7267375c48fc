// Lines over the last minutes.
import uPlot from 'uplot';
import { el, setText } from './dom.js';
import { KEPT } from './history.js';

/**
 * A line: which member of a point it shows, in which custom property of the style its colour is.
 * @typedef {import('./history.js').Point} Point
 * @typedef {{label: string, of: Exclude<keyof Point, 'at'>, color: string, filled?: boolean}} Line
 */

const HEIGHT = 190;

/** A plot with its title and a legend, which shows the newest values, or those under the pointer. */
export class Plot {
  /**
   * @param {{title: string, note: string, lines: Line[], format: (value: number | null) => string, tick: (value: number) => string, clock: (milliseconds: number) => string}} options
   */
  constructor({ title, note, lines, format, tick, clock }) {
    this.title = title;
    this.lines = lines;
    this.format = format;
    this.tick = tick;
    this.clock = clock;
    /** @type {Point[]} */
    this.points = [];
    this.values = lines.map(() => el('b', {}, '–'));
    this.when = el('span', { class: 'when' });
    this.canvas = el('div', { class: 'canvas', role: 'img', 'aria-label': title });
    this.element = el('figure', { class: 'panel plot' },
      el('figcaption', { class: 'panel-head' }, el('h2', {}, title), el('p', { class: 'note' }, note)),
      el('div', { class: 'legend' }, ...lines.map((line, i) => el('span', {}, swatch(line), line.label, ' ', this.values[i])), this.when),
      this.canvas);
    this.uplot = new uPlot(this.options(), this.data(), this.canvas);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.canvas);
  }

  /** @returns {uPlot.Options} */
  options() {
    /** @type {uPlot.Axis} */
    const axis = {
      stroke: () => color('--muted'), font: '11px system-ui, sans-serif', labelFont: '11px system-ui, sans-serif',
      grid: { stroke: () => color('--grid'), width: 1 }, ticks: { show: false },
    };
    return {
      width: 300, height: HEIGHT, legend: { show: false }, pxAlign: 1, padding: [8, 12, 0, 0],
      cursor: { drag: { x: false, y: false }, points: { size: 6 }, y: false },
      scales: { x: { time: true, range: () => this.span() }, y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
      axes: [
        { ...axis, size: 26, space: 70, values: (_u, splits) => splits.map((seconds) => this.clock(seconds * 1000).slice(0, 5)), incrs: [60, 120, 300] },
        { ...axis, size: 58, space: 36, values: (_u, splits) => splits.map((value) => this.tick(value)) },
      ],
      series: [{}, ...this.lines.map((line) => ({
        label: line.label, width: 1.5, stroke: () => color(line.color), spanGaps: false, points: { size: 5, show: false, filter: isolated, fill: () => color(line.color) },
        fill: line.filled ? () => color(`${line.color}-fill`) : undefined,
      }))],
      hooks: { setCursor: [() => this.showValues()] },
    };
  }

  /** The seconds that the plot spans, up to the newest point. @returns {[number, number]} */
  span() {
    const end = (this.points[this.points.length - 1]?.at ?? Date.now()) / 1000;
    return [end - KEPT / 1000, end];
  }

  /** @returns {uPlot.AlignedData} */
  data() {
    return [this.points.map(({ at }) => at / 1000), ...this.lines.map(({ of }) => this.points.map((point) => point[of]))];
  }

  /** @param {Point[]} points */
  update(points) {
    this.points = points;
    this.uplot.setData(this.data());
    this.showValues();
  }

  showValues() {
    const i = this.uplot?.cursor.idx;
    const under = i === null || i === undefined ? undefined : this.points[i];
    const point = under ?? this.points[this.points.length - 1];
    this.lines.forEach(({ of }, line) => setText(this.values[line], this.format(point?.[of] ?? null)));
    setText(this.when, under ? this.clock(under.at) : '');
    if (!under) this.canvas.setAttribute('aria-label', [this.title, ...this.lines.map((line, n) => `${line.label} ${this.values[n].textContent}`)].join(', '));
  }

  resize() {
    const width = Math.floor(this.canvas.clientWidth);
    if (width > 0 && width !== this.uplot.width) this.uplot.setSize({ width, height: HEIGHT });
  }

  /** Draws anew, in the colours of now. */
  recolor() {
    this.uplot.redraw(false);
  }

  destroy() {
    this.observer.disconnect();
    this.uplot.destroy();
  }
}

/** The points that no line reaches, because nothing is known on either side. @param {uPlot} plot @param {number} series */
function isolated(plot, series) {
  const values = plot.data[series];
  const is = (/** @type {number} */ i) => values[i] !== null && values[i] !== undefined;
  return Array.from(values.keys()).filter((i) => is(i) && !is(i - 1) && !is(i + 1));
}

/** @param {string} name a custom property */
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** @param {Line} line */
function swatch(line) {
  return el('span', { class: `swatch ${line.color.slice(2)}`, 'aria-hidden': 'true' });
}
