// Begins. An address of `wxgate dashboard` has a one-time code behind the #, which leaves the address at once.
import './app.css';
import { Page } from './page.js';

const code = /^#code=([\w-]+)$/.exec(location.hash)?.[1] ?? '';
if (code) history.replaceState(null, '', location.pathname);
new Page().start(code);
