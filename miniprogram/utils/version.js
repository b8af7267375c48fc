/** @param {string} version such as 2.27.1 @param {string} than @returns {boolean} */
function isOlder(version, than) {
  const [a, b] = [version, than].map((text) => text.split('.').map(Number));
  const i = b.findIndex((number, at) => number !== (a[at] || 0));
  return i >= 0 && (a[i] || 0) < b[i];
}

module.exports = { isOlder };
