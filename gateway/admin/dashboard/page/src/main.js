// Begins. An address of `wxgate dashboard` has a one-time code behind the #, which leaves the address at once.
import './app.css';
import { Page } from './page.js';

/** The code in the address, '' for none. */
function takeCode() {
  const code = /^#code=([\w-]+)$/.exec(location.hash)?.[1] ?? '';
  if (code) history.replaceState(null, '', location.pathname);
  return code;
}

const page = new Page();
page.start(takeCode());
// In a tab that shows the page, another # is all that the address changes: nothing is loaded anew.
addEventListener('hashchange', () => {
  const code = takeCode();
  if (code) page.useCode(code);
});
