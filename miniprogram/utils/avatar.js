/**
 * Lets the user cut a picture to a square, where the base library can (2.26.0). Who cancels keeps the whole picture.
 * @param {string} src a temporary file @returns {Promise<string>} a temporary file
 */
function square(src) {
  if (!wx.canIUse('cropImage')) return Promise.resolve(src);
  return new Promise((resolve) => {
    wx.cropImage({ src, cropScale: '1:1', success: (cut) => resolve(cut.tempFilePath), fail: () => resolve(src) });
  });
}

module.exports = { square };
