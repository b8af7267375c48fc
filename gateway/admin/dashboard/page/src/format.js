// Numbers, units and times as people read them, in one language.

/** @typedef {import('./series.js').Quantile} Quantile */

export const NOTHING = '–';
const LARGEST_UNITS = [[86400, 'day'], [3600, 'hour'], [60, 'minute'], [1, 'second']];

/**
 * @param {'en' | 'zh'} language
 */
export function formats(language) {
  const locale = language === 'zh' ? 'zh-CN' : 'en';
  /** @param {Intl.NumberFormatOptions} options */
  const numbers = (options) => new Intl.NumberFormat(locale, options);
  const whole = numbers({ maximumFractionDigits: 0 });
  const compact = numbers({ notation: 'compact', maximumSignificantDigits: 3 });
  /** @type {Intl.DateTimeFormatOptions} */
  const toTheMinute = { year: 'numeric', month: language === 'zh' ? 'numeric' : 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
  const minute = new Intl.DateTimeFormat(locale, toTheMinute);
  const second = new Intl.DateTimeFormat(locale, { ...toTheMinute, second: '2-digit' });
  const clock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'always', style: 'long' });

  /** Chinese has a space between a number and its unit, as everywhere on the page. @param {string} text */
  const spaced = (text) => text.replace(/(\d)(\p{Script=Han})/gu, '$1 $2');

  /** Three digits that count. @param {number} n */
  const three = (n) => numbers({ minimumSignificantDigits: n === 0 ? 1 : 3, maximumSignificantDigits: 3, useGrouping: false }).format(n);

  /** As many decimals, all of them shown. @param {number} n @param {number} decimals */
  const fixed = (n, decimals) => numbers({ minimumFractionDigits: decimals, maximumFractionDigits: decimals }).format(n);

  /** At most two decimals. @param {number} n */
  const number = (n) => numbers({ maximumFractionDigits: 2 }).format(n);

  /** @param {number} seconds @param {(n: number) => string} write a number from 1 to 999 */
  const duration = (seconds, write = three) => {
    if (seconds === 0) return '0 ms';
    if (seconds < 0.0009995) return `${write(seconds * 1e6)} µs`;
    return seconds < 0.9995 ? `${write(seconds * 1e3)} ms` : `${seconds < 999.5 ? write(seconds) : whole.format(seconds)} s`;
  };

  /** A time from now or since, in its largest unit. @param {number} seconds negative: ago */
  const fromNow = (seconds) => {
    const [size, unit] = LARGEST_UNITS.find(([size]) => Math.abs(seconds) >= Number(size)) ?? [1, 'second'];
    return spaced(relative.format(Math.trunc(seconds / Number(size)), /** @type {Intl.RelativeTimeFormatUnit} */ (unit)));
  };

  /** @param {number | null} n each second */
  const rate = (n) => {
    if (n === null) return NOTHING;
    if (n === 0) return '0 /s';
    return n < 0.01 ? '<0.01 /s' : `${fixed(n, n < 9.995 ? 2 : n < 99.95 ? 1 : 0)} /s`;
  };

  return {
    /** @param {number | null | undefined} n */
    count: (n) => (n === null || n === undefined ? NOTHING : n < 1e7 ? whole.format(n) : compact.format(n)),
    rate,
    number,
    /** @param {number} seconds as at an axis, without zeros that say nothing */
    durationTick: (seconds) => duration(seconds, number),
    /** @param {number | null | undefined} seconds */
    duration: (seconds) => (seconds === null || seconds === undefined ? NOTHING : duration(seconds)),
    /** @param {Quantile | null} q */
    quantile: (q) => (q ? (q.beyond ? '>' : '') + duration(q.seconds) : NOTHING),
    /** @param {number | null} part from 0 to 1 */
    percent: (part) => {
      if (part === null) return NOTHING;
      if (part > 0 && part < 0.0001) return '<0.01%';
      return `${fixed(part * 100, part === 0 || part === 1 ? 0 : part < 0.09995 ? 2 : 1)}%`;
    },
    /** @param {number} n */
    bytes: (n) => {
      const power = n < 1024 ? 0 : Math.min(4, Math.floor(Math.log2(n) / 10));
      const scaled = n / 1024 ** power;
      return `${numbers({ maximumFractionDigits: power === 0 || scaled >= 100 ? 0 : 1 }).format(scaled)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][power]}`;
    },
    /** To the minute. @param {string | null | undefined} time RFC 3339 */
    moment: (time) => (isTime(time) ? minute.format(new Date(time)) : NOTHING),
    /** To the second, as in a log. @param {string | null | undefined} time RFC 3339 */
    exactly: (time) => (isTime(time) ? second.format(new Date(time)) : NOTHING),
    /** @param {number} milliseconds */
    clock: (milliseconds) => clock.format(milliseconds),
    /** @param {string | null | undefined} time RFC 3339 @param {string} now */
    since: (time, now) => (isTime(time) ? fromNow((Date.parse(time) - Date.parse(now)) / 1000) : NOTHING),
    /** A length in its largest unit, such as "3 days". @param {number} seconds */
    length: (seconds) => {
      const [size, unit] = LARGEST_UNITS.find(([size]) => seconds >= Number(size)) ?? [1, 'second'];
      return spaced(numbers({ style: 'unit', unit: String(unit), unitDisplay: 'long', maximumFractionDigits: 0 }).format(Math.floor(seconds / Number(size))));
    },
  };
}

/** @typedef {ReturnType<typeof formats>} Formats */

/** @param {string | null | undefined} time @returns {time is string} */
function isTime(time) {
  return !!time && !Number.isNaN(Date.parse(time));
}
