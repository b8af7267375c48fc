/** @typedef {{title: string, minutes: number, author: string, steps: string[]}} Recipe */

const WIDTH = 600;
const HEIGHT = 800;

/** Draws a recipe on <canvas type="2d">. @param {any} canvas its node @param {Recipe} recipe */
function draw(canvas, recipe) {
  const ratio = wx.getWindowInfo().pixelRatio;
  canvas.width = WIDTH * ratio;
  canvas.height = HEIGHT * ratio;
  const pen = canvas.getContext('2d');
  pen.scale(ratio, ratio);
  pen.fillStyle = '#f7f6f3';
  pen.fillRect(0, 0, WIDTH, HEIGHT);
  pen.fillStyle = '#078243';
  pen.fillRect(0, 0, WIDTH, 220);
  write(pen, recipe.title, { size: 56, color: '#ffffff', y: 120 });
  write(pen, `${recipe.minutes} 分钟 · ${recipe.author}`, { size: 28, color: '#d8f3e4', y: 172 });
  recipe.steps.slice(0, 6).forEach((step, i) => {
    write(pen, `${i + 1}. ${step}`, { size: 26, color: '#1d1d1f', y: 296 + i * 64 });
  });
  write(pen, '打开「食堂」小程序，看完整做法', { size: 24, color: '#6b6862', y: HEIGHT - 48 });
}

/** One line, cut where the poster ends. @param {any} pen @param {string} text @param {{size: number, color: string, y: number}} style */
function write(pen, text, { size, color, y }) {
  pen.font = `${size}px sans-serif`;
  pen.fillStyle = color;
  let line = text;
  while (pen.measureText(line).width > WIDTH - 96) line = `${line.slice(0, -2)}…`;
  pen.fillText(line, 48, y);
}

/** @param {any} page @param {string} selector @returns {Promise<any>} the node of a canvas */
function nodeOf(page, selector) {
  return new Promise((resolve) => {
    page.createSelectorQuery().select(selector).fields({ node: true }).exec((/** @type {any[]} */ found) => resolve(found[0].node));
  });
}

/** @param {any} page @param {string} selector of <canvas type="2d"> @param {Recipe} recipe */
async function sharePoster(page, selector, recipe) {
  const canvas = await nodeOf(page, selector);
  draw(canvas, recipe);
  const { tempFilePath } = await wx.canvasToTempFilePath({ canvas, fileType: 'jpg' });
  wx.showShareImageMenu({ path: tempFilePath });
}

module.exports = { sharePoster };
