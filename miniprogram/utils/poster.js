/** @typedef {{title: string, minutes: number, author: string, steps: string[]}} Recipe */

const WIDTH = 600;
const HEIGHT = 800;

/** Draws a recipe on <canvas type="2d">. @param {any} canvas its node @param {Recipe} recipe */
function draw(canvas, recipe) {
  const ratio = (wx.getWindowInfo || wx.getSystemInfoSync)().pixelRatio;
  canvas.width = WIDTH * ratio;
  canvas.height = HEIGHT * ratio;
  const pen = canvas.getContext('2d');
  pen.scale(ratio, ratio);
  pen.fillStyle = '#f7f6f3';
  pen.fillRect(0, 0, WIDTH, HEIGHT);
  pen.fillStyle = '#078243';
  pen.fillRect(0, 0, WIDTH, 220);
  write(pen, recipe.title, { size: 56, color: '#ffffff', y: 120, weight: 'bold' });
  write(pen, `${recipe.minutes} 分钟 · ${recipe.author}`, { size: 28, color: '#d8f3e4', y: 172 });
  let y = 296;
  for (const step of recipe.steps) {
    if (y < HEIGHT - 140) y = write(pen, `· ${step}`, { size: 26, color: '#1d1d1f', y });
  }
  write(pen, '打开「食堂」小程序，看完整做法', { size: 24, color: '#6b6862', y: HEIGHT - 48 });
}

/**
 * Writes a text in as many lines as it needs.
 * @param {any} pen @param {string} text @param {{size: number, color: string, y: number, weight?: string}} style
 * @returns {number} where the next text goes
 */
function write(pen, text, { size, color, y, weight = 'normal' }) {
  pen.font = `${weight} ${size}px sans-serif`;
  pen.fillStyle = color;
  let line = '';
  for (const character of text) {
    if (pen.measureText(line + character).width > WIDTH - 96) {
      pen.fillText(line, 48, y);
      y += size * 1.5;
      line = '';
    }
    line += character;
  }
  pen.fillText(line, 48, y);
  return y + size * 2.2;
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
