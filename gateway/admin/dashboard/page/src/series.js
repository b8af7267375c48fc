// What cumulative counters and histograms say about a stretch of time. Nothing here knows of the page.

/**
 * A cumulative histogram: count of all observations, their sum in seconds, and for some bounds in seconds, in rising
 * order, how many observations were at most that. There is no bucket for +Inf: count is it.
 * @typedef {{count: number, sum: number, buckets: {le: number, count: number}[]}} Histogram
 */

/**
 * A quantile in seconds; beyond: it is that or more, because it lies above the last bound.
 * @typedef {{seconds: number, beyond: boolean}} Quantile
 */

/**
 * By how much a counter has grown. One that is lower than before has begun again at zero.
 * @param {number | undefined} before @param {number} after
 */
export function increase(before, after) {
  return before === undefined || after < before ? after : after - before;
}

/**
 * The observations between two readings of a histogram; all of `after` if it has begun again or has other bounds.
 * @param {Histogram | undefined} before @param {Histogram} after @returns {Histogram}
 */
export function histogramIncrease(before, after) {
  if (!before || !continues(before, after)) return after;
  return {
    count: after.count - before.count,
    sum: after.sum - before.sum,
    buckets: after.buckets.map(({ le, count }, i) => ({ le, count: count - before.buckets[i].count })),
  };
}

/** @param {Histogram} before @param {Histogram} after */
function continues(before, after) {
  return after.count >= before.count && after.buckets.length === before.buckets.length
    && after.buckets.every(({ le, count }, i) => le === before.buckets[i].le && count >= before.buckets[i].count);
}

/**
 * Interpolates within the bucket, as histogram_quantile of Prometheus does; null without observations.
 * @param {number} q from 0 to 1 @param {Histogram} histogram @returns {Quantile | null}
 */
export function quantile(q, { count, buckets }) {
  if (count <= 0 || buckets.length === 0) return null;
  const rank = q * count;
  const i = buckets.findIndex((bucket) => bucket.count >= rank && bucket.count > 0);
  if (i < 0) return { seconds: buckets[buckets.length - 1].le, beyond: true };
  const [from, below] = i === 0 ? [0, 0] : [buckets[i - 1].le, buckets[i - 1].count];
  const inBucket = buckets[i].count - below;
  const share = inBucket > 0 ? Math.min(1, Math.max(0, (rank - below) / inBucket)) : 1;
  return { seconds: from + (buckets[i].le - from) * share, beyond: false };
}

/** A share from 0 to 1; null of nothing. @param {number} part @param {number} whole */
export const share = (part, whole) => (whole > 0 ? part / whole : null);

/** The histogram of no observation. @type {Histogram} */
export const EMPTY = { count: 0, sum: 0, buckets: [] };
