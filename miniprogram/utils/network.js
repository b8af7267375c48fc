/**
 * While a page is shown, its onAgain() is called when the phone is online again and the page still shows an error.
 * @param {any} page
 */
function watchNetwork(page) {
  unwatchNetwork(page);
  page.onNetwork = (/** @type {{isConnected: boolean}} */ { isConnected }) => {
    if (isConnected && page.data.error) page.onAgain();
  };
  wx.onNetworkStatusChange(page.onNetwork);
}

/** @param {any} page that is hidden or gone */
function unwatchNetwork(page) {
  if (page.onNetwork) wx.offNetworkStatusChange(page.onNetwork);
  page.onNetwork = null;
}

module.exports = { unwatchNetwork, watchNetwork };
