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

/**
 * Remembers the readings of about the last minute in the order in which they came. Times are those of the gateway, in milliseconds.
 * @template {{started_at: string, now: string}} R
 */
export class Minute {
  constructor() {
    /** @type {R[]} the oldest first */
    this.readings = [];
  }

  /** @param {R} reading */
  add(reading) {
    if (this.has(reading)) return;
    if (!this.neighbour(reading)) this.readings = [];
    this.readings.push(reading);
    this.readings = this.readings.filter(({ now }) => Date.parse(reading.now) - Date.parse(now) <= WINDOW);
  }

  /** Whether it is the newest once more: the gateway does not make one for each question. @param {R} reading */
  has(reading) {
    return this.newest?.now === reading.now && this.newest.started_at === reading.started_at;
  }

  /** The reading before one that comes now, undefined after a gap, a restart or a clock that went back. @param {R} reading */
  neighbour(reading) {
    const { newest } = this;
    const apart = newest ? Date.parse(reading.now) - Date.parse(newest.now) : 0;
    return newest?.started_at === reading.started_at && apart > 0 && apart <= GAP ? newest : undefined;
  }

  /** The newest reading. @returns {R | undefined} */
  get newest() {
    return this.readings[this.readings.length - 1];
  }

  /** How many seconds the last minute has so far; 0 before there are two readings. */
  get seconds() {
    return this.newest ? (Date.parse(this.newest.now) - Date.parse(this.readings[0].now)) / 1000 : 0;
  }

  /**
   * How much a counter has grown in the last minute; null before there are two readings.
   * @param {(reading: R) => number | undefined} of undefined: it was not there yet
   */
  grown(of) {
    if (!this.newest || this.seconds <= 0) return null;
    return increase(of(this.readings[0]), of(this.newest) ?? 0);
  }

  /** The growth of a counter per second in the last minute. @param {(reading: R) => number | undefined} of */
  rate(of) {
    const grown = this.grown(of);
    return grown === null ? null : grown / this.seconds;
  }

  /** The observations of the last minute. @param {(reading: R) => Histogram | undefined} of @returns {Histogram} */
  observed(of) {
    if (!this.newest || this.seconds <= 0) return EMPTY;
    return histogramIncrease(of(this.readings[0]), of(this.newest) ?? EMPTY);
  }
}

/** The readings of the dashboard, and the points of the plots. @extends {Minute<Dashboard>} */
export class History extends Minute {
  constructor() {
    super();
    /** @type {Point[]} */
    this.points = [];
  }

  /** @param {Dashboard} reading */
  add(reading) {
    if (this.has(reading)) return;
    const before = this.neighbour(reading);
    const at = Date.parse(reading.now);
    this.points.push(before ? pointBetween(before, reading) : { at, requests: null, errors: null, p50: null, p90: null, p99: null });
    this.points = this.points.filter((point) => at - point.at <= KEPT && point.at <= at);
    super.add(reading);
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
