// What can be said of how a page looks without looking.

/** Texts whose contrast with what is behind them is below what WCAG asks (AA). */
export function contrasts(locator) {
  return locator.evaluate((page) => {
    const numbers = (color) => (color.match(/[\d.]+/g) || []).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4))
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (element) => {
      const color = numbers(getComputedStyle(element).backgroundColor);
      return color[3] === 0 && element.parentElement ? behind(element.parentElement) : color;
    };
    return [...page.querySelectorAll('*')].filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
      .map((element) => {
        const [a, b] = [light(numbers(getComputedStyle(element).color)), light(behind(element))];
        const large = parseFloat(getComputedStyle(element).fontSize) >= 24;
        return { text: element.textContent.slice(0, 20), ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), least: large ? 3 : 4.5 };
      }).filter(({ ratio, least }) => ratio < least);
  });
}

/** Elements that stick out of the screen. */
export function overflows(locator) {
  return locator.evaluate((page) => [...page.querySelectorAll('*')].filter((element) => element.localName !== 'canvas')
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 1).map((element) => `${element.localName}.${element.className}`));
}
