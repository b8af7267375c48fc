const assert = require('node:assert/strict');
const { test } = require('node:test');
const { sharePoster } = require('../../utils/poster');

/**
 * What is written on the poster: each line with its place. Every character is as wide as it is high.
 * @param {object} recipe
 */
async function written(recipe) {
  /** @type {{text: string, top: number, bottom: number, right: number}[]} */
  const lines = [];
  let header = 0;
  const pen = {
    font: '',
    size() { return Number((/ (\d+)px/.exec(this.font) || [])[1]); },
    scale() {},
    /** @param {number} _x @param {number} _y @param {number} _width @param {number} height */
    fillRect(_x, _y, _width, height) { header = height; },
    /** @param {string} text */
    measureText(text) { return { width: Array.from(text).length * this.size() }; },
    /** @param {string} text @param {number} x @param {number} y */
    fillText(text, x, y) { lines.push({ text, top: y - this.size(), bottom: y, right: x + this.measureText(text).width }); },
  };
  Object.assign(globalThis, { wx: {
    getWindowInfo: () => ({ pixelRatio: 1 }), canvasToTempFilePath: async () => ({ tempFilePath: 'x' }), showShareImageMenu() {},
  } });
  const query = { select: () => query, fields: () => query, exec: (/** @type {any} */ done) => done([{ node: { getContext: () => pen } }]) };
  await sharePoster({ createSelectorQuery: () => query }, '#poster', recipe);
  return { lines: lines.filter(({ text }) => text), header };
}

const short = { title: '红烧肉', minutes: 90, author: '食堂', steps: ['焯水', '炖 60 分钟'] };
for (const [name, recipe] of Object.entries({
  short,
  'a title of 12 characters': { ...short, title: '家常糖醋里脊配米饭套餐' + '！' },
  'a title of 60 characters': { ...short, title: '面'.repeat(60) },
  'long steps': { ...short, steps: ['焯水', '切块', '煸香', '收汁', '煮'.repeat(200), '出锅'] },
  'a long name': { ...short, author: '厨'.repeat(64) },
})) {
  test(`poster, ${name}: nothing is written over something else or beyond the edge`, async () => {
    const { lines, header } = await written(recipe);
    for (const { text, right, bottom } of lines) assert.ok(right <= 600 - 40 && bottom <= 800, `${text} ends at ${right}, ${bottom}`);
    const sorted = lines.slice().sort((a, b) => a.top - b.top);
    sorted.slice(1).forEach((line, i) => assert.ok(line.top >= sorted[i].bottom, `${sorted[i].text} | ${line.text}`));
    assert.ok(lines.some(({ text }) => text.startsWith('90 分钟')) && lines[lines.length - 1].text.includes('看完整做法'));
    assert.ok(lines.every(({ top, bottom }) => bottom <= header || top >= header), 'on the edge of the header');
  });
}
