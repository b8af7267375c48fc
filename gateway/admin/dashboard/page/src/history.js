// The readings of the dashboard while the page is open, and what they say: points of the plots, and the last minute.
import { EMPTY, histogramIncrease, increase, quantile } from './series.js';

/** @typedef {import('./api.js').Dashboard} Dashboard @typedef {import('./series.js').Histogram} Histogram */

/**
 * A point of the plots: what happened since the one before. null: unknown, as after a gap, or nothing happened.
 * @typedef {{at: number, requests: number | null, errors: number | null, p50: number | null, p90: number | null, p99: number | null}} Point
 */

export const KEPT = 5 * 60 * 1000; // how far back the plots reach, in milliseconds
const WINDOW = 60 * 1000; // what "the last minute" is
const GAP = 10 * 1000; // readings further apart are no neighbours: the page was hidden, or the gateway away

/** Remembers readings in the order in which they came. Times are those of the gateway, in milliseconds. */
export class History {
  constructor() {
    /** @type {Point[]} */
    this.points = [];
    /** @type {Dashboard[]} of about the last minute, the oldest first */
    this.readings = [];
  }

  /** @param {Dashboard} reading */
  add(reading) {
    const last = this.readings[this.readings.length - 1];
    const at = Date.parse(reading.now);
    if (last && (last.started_at !== reading.started_at || at <= Date.parse(last.now))) this.readings = [];
    const before = this.readings[this.readings.length - 1];
    const isNeighbour = before !== undefined && at - Date.parse(before.now) <= GAP;
    if (isNeighbour) this.points.push(pointBetween(before, reading));
    else this.points.push({ at, requests: null, errors: null, p50: null, p90: null, p99: null });
    if (!isNeighbour) this.readings = [];
    this.readings.push(reading);
    this.readings = this.readings.filter(({ now }) => at - Date.parse(now) <= WINDOW);
    this.points = this.points.filter((point) => at - point.at <= KEPT && point.at <= at);
  }

  /** The newest reading. @returns {Dashboard | undefined} */
  get newest() {
    return this.readings[this.readings.length - 1];
  }

  /** How many seconds the last minute has so far; 0 before there are two readings. */
  get seconds() {
    return this.newest ? (Date.parse(this.newest.now) - Date.parse(this.readings[0].now)) / 1000 : 0;
  }

  /**
   * How much a counter has grown in the last minute; null before there are two readings.
   * @param {(reading: Dashboard) => number | undefined} of undefined: it was not there yet
   */
  grown(of) {
    if (!this.newest || this.seconds <= 0) return null;
    return increase(of(this.readings[0]), of(this.newest) ?? 0);
  }

  /** The growth of a counter per second in the last minute. @param {(reading: Dashboard) => number | undefined} of */
  rate(of) {
    const grown = this.grown(of);
    return grown === null ? null : grown / this.seconds;
  }

  /** The observations of the last minute. @param {(reading: Dashboard) => Histogram | undefined} of @returns {Histogram} */
  observed(of) {
    if (!this.newest || this.seconds <= 0) return EMPTY;
    return histogramIncrease(of(this.readings[0]), of(this.newest) ?? EMPTY);
  }
}

/** @param {Dashboard} before @param {Dashboard} after @returns {Point} */
function pointBetween(before, after) {
  const at = Date.parse(after.now);
  const seconds = (at - Date.parse(before.now)) / 1000;
  const latency = histogramIncrease(before.traffic.latency, after.traffic.latency);
  return {
    at,
    requests: increase(before.traffic.requests, after.traffic.requests) / seconds,
    errors: increase(before.traffic.errors, after.traffic.errors) / seconds,
    p50: quantile(0.5, latency)?.seconds ?? null,
    p90: quantile(0.9, latency)?.seconds ?? null,
    p99: quantile(0.99, latency)?.seconds ?? null,
  };
}
