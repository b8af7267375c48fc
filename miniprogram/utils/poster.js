/** @typedef {{title: string, minutes: number, author: string, steps: string[]}} Recipe */

const WIDTH = 600;
const HEIGHT = 800;

const LEFT = 48;
const LEADING = 1.5; // of a line, in heights of its letters

/**
 * Draws a recipe on <canvas type="2d">.
 * @param {any} canvas its node @param {Recipe} recipe
 */
function draw(canvas, recipe) {
  const ratio = (wx.getWindowInfo || wx.getSystemInfoSync)().pixelRatio;
  canvas.width = WIDTH * ratio;
  canvas.height = HEIGHT * ratio;
  const pen = canvas.getContext('2d');
  pen.scale(ratio, ratio);
  pen.fillStyle = '#f7f6f3';
  pen.fillRect(0, 0, WIDTH, HEIGHT);
  drawSteps(pen, recipe.steps, drawHeader(pen, recipe) + 76);
  write(pen, ['打开「食堂」小程序，看完整做法'], { size: 24, color: '#6b6862', y: HEIGHT - 48 });
}

/** @param {any} pen @param {Recipe} recipe @returns {number} where the header ends */
function drawHeader(pen, { title, minutes, author }) {
  const titleStyle = { size: 56, color: '#ffffff', y: 120, weight: 'bold' };
  const titleLines = linesOf(pen, title, 2, titleStyle);
  const noteStyle = { size: 28, color: '#d8f3e4', y: 172 + (titleLines.length - 1) * 56 * LEADING };
  pen.fillStyle = '#078243';
  pen.fillRect(0, 0, WIDTH, noteStyle.y + 48);
  write(pen, titleLines, titleStyle);
  write(pen, linesOf(pen, `${minutes} 分钟 · ${author}`, 1, noteStyle), noteStyle);
  return noteStyle.y + 48;
}

/**
 * As many as there is room for.
 * @param {any} pen @param {string[]} steps @param {number} y of the first line
 */
function drawSteps(pen, steps, y) {
  const size = 26;
  for (const step of steps) {
    const room = Math.floor((HEIGHT - 100 - y) / (size * LEADING)) + 1;
    if (room < 1) return;
    const style = { size, color: '#1d1d1f', y };
    y = write(pen, linesOf(pen, `· ${step}`, room, style), style) + size * 2.2;
  }
}

/** @typedef {{size: number, color: string, y: number, weight?: string}} Style */

/** @param {any} pen @param {Style} style */
function take(pen, { size, color, weight = 'normal' }) {
  pen.font = `${weight} ${size}px sans-serif`;
  pen.fillStyle = color;
}

/**
 * Breaks a text into lines; what does not fit into the last one is cut.
 * @param {any} pen @param {string} text @param {number} most @param {Style} style @returns {string[]}
 */
function linesOf(pen, text, most, style) {
  take(pen, style);
  const fits = (/** @type {string} */ line) => pen.measureText(line).width <= WIDTH - 2 * LEFT;
  const lines = [''];
  for (const character of text) {
    const line = lines[lines.length - 1];
    if (fits(line + character)) lines[lines.length - 1] += character;
    else if (lines.length < most) lines.push(character);
    else return lines.slice(0, -1).concat(`${Array.from(line).slice(0, -1).join('')}…`);
  }
  return lines;
}

/** @param {any} pen @param {string[]} lines @param {Style} style @returns {number} where the last line stands */
function write(pen, lines, style) {
  take(pen, style);
  lines.forEach((line, i) => pen.fillText(line, LEFT, style.y + i * style.size * LEADING));
  return style.y + (lines.length - 1) * style.size * LEADING;
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
