// The page: who looks at it, what is read for them, and which view they see.
import * as api from './api.js';
import { button } from './dom.js';
import { faultText, refusalText } from './fault.js';
import { formats } from './format.js';
import { Frame, VIEWS } from './frame.js';
import { History, Minute } from './history.js';
import { Logins } from './logins.js';
import { applyTheme, language, theme } from './look.js';
import { Overview } from './overview.js';
import { Poller } from './poller.js';
import { signInDialog, signInForm } from './signin.js';
import { System } from './system.js';
import { Traffic } from './traffic.js';
import { UserView } from './user.js';
import { Users } from './users.js';
import { words } from './words.js';

/**
 * What views are given. routes are the readings of the view that shows them all. explain turns what a call threw into a sentence;
 * ensureSession lets the visitor sign in first if they have to, and resolves to whether they are signed in.
 * @typedef {{
 *   t: ReturnType<typeof words>, f: import('./format.js').Formats, language: import('./words.js').Language, history: History,
 *   routes: Minute<api.Routes>, say: (text: string) => void, explain: (error: unknown) => string, ensureSession: () => Promise<boolean>,
 * }} Context
 * A view may read what it alone shows, whenever the dashboard is read.
 * @typedef {{element: HTMLElement, update: () => void, read?: () => Promise<void>, recolor?: () => void, destroy?: () => void}} View
 */

const EVERY = 2000; // milliseconds between two readings

export class Page {
  constructor() {
    this.history = new History();
    /** @type {Minute<api.Routes>} */
    this.routes = new Minute();
    /** @type {api.Session | undefined} undefined: not known yet */
    this.session = undefined;
    this.isLost = false; // the gateway did not answer the last call
    this.notice = ''; // why there is a form to sign in
    this.search = { by: 'any', text: '' };
    /** @type {View | undefined} */
    this.view = undefined;
    this.poller = new Poller({ every: EVERY, read: () => this.read() });
    this.context = this.makeContext();
    this.frame = this.makeFrame();
    applyTheme(theme());
    this.showSession();
    addEventListener('hashchange', () => this.navigate());
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.view?.recolor?.());
  }

  /** @returns {Context} in the language of now */
  makeContext() {
    const chosen = language();
    document.documentElement.lang = chosen === 'zh' ? 'zh-CN' : 'en';
    return {
      t: words(chosen), f: formats(chosen), language: chosen, history: this.history, routes: this.routes, say: (text) => this.frame.say(text),
      explain: (error) => this.explain(error), ensureSession: () => this.ensureSession(),
    };
  }

  makeFrame() {
    const relanguage = () => {
      this.context = this.makeContext();
      this.frame = this.makeFrame();
      this.showSession();
    };
    const frame = new Frame(this.context, { relanguage, recolor: () => this.view?.recolor?.() });
    document.body.replaceChildren(...frame.elements);
    return frame;
  }

  /** Begins. @param {string} code of the address that `wxgate dashboard` printed, '' for none */
  async start(code) {
    if (code) await this.useCode(code);
    this.poller.start();
  }

  /** Signs in. @param {string} code */
  async useCode(code) {
    try {
      await api.signIn({ code });
      this.signedIn();
    } catch (error) {
      this.notice = error instanceof api.ApiError && error.status === 401 ? this.context.t('signin.wrong.code') : this.explain(error);
      if (this.mustSignIn) this.showForm();
      else this.context.say(this.notice);
    }
  }

  /** One reading of what is shown. */
  async read() {
    try {
      if (!this.session) {
        this.session = await api.readSession();
        this.showSession();
      }
      if (!this.mustSignIn) {
        this.history.add(await api.readDashboard());
        await this.readView();
      }
      this.isLost = false;
    } catch (error) {
      if (error instanceof api.ApiError && error.status === 401) this.end();
      else this.isLost = true;
    }
    this.update();
  }

  /** Reads what the view alone shows, also that of one to which the address leads meanwhile. */
  async readView() {
    for (let read; read !== this.view;) {
      read = this.view;
      await read?.read?.();
    }
  }

  get mustSignIn() {
    return !!this.session && this.session.token_required && !this.session.signed_in;
  }

  /** The session is over, without having been ended here. */
  end() {
    if (this.session) this.session.signed_in = false;
    this.notice = this.context.t('signin.ended');
    this.showSession();
    if (!this.mustSignIn) this.context.say(this.notice);
  }

  /** Shows what the session allows: the form to sign in, or a view. */
  showSession() {
    this.showAccount();
    if (this.mustSignIn) this.showForm();
    else this.navigate();
    this.update();
  }

  showAccount() {
    const { t } = this.context;
    const canSee = !!this.session && !this.mustSignIn;
    const way = this.session?.signed_in ? button(t('signout'), () => this.signOut(), 'small') : button(t('signin'), () => this.ensureSession(), 'small');
    this.frame.nav.hidden = !canSee;
    this.frame.account.replaceChildren(...canSee ? [way] : []);
  }

  showForm() {
    closeDialogs();
    this.leaveView();
    const form = signInForm(this.context, { withToken: true, notice: this.notice, done: () => this.signedIn() });
    this.frame.show(this.context.t('signin'), form.element);
    form.focus();
  }

  signedIn() {
    if (this.session) this.session.signed_in = true;
    this.notice = '';
    this.showSession();
    this.poller.next(0);
  }

  /** @returns {Promise<boolean>} */
  async ensureSession() {
    const { session } = this;
    if (!session || session.signed_in) return !!session;
    session.signed_in = await signInDialog(this.context);
    this.showAccount();
    return session.signed_in;
  }

  async signOut() {
    try {
      await api.signOut();
    } catch (error) {
      if (!(error instanceof api.ApiError) || error.status !== 401) {
        this.context.say(this.explain(error));
        return;
      }
    }
    if (this.session) this.session.signed_in = false;
    this.notice = this.context.t('signin.out');
    this.showSession();
    if (!this.mustSignIn) this.context.say(this.notice);
  }

  leaveView() {
    this.view?.destroy?.();
    this.view = undefined;
  }

  /** Shows the view that the address names. */
  navigate() {
    if (!this.session || this.mustSignIn) return;
    closeDialogs();
    this.leaveView();
    const [, name, id] = location.hash.split('/');
    const shown = VIEWS.includes(name) ? name : VIEWS[0];
    this.view = this.makeView(shown, id);
    this.frame.show(this.context.t(`view.${shown}`), this.view.element, shown);
    this.view.update();
    if (this.view.read) this.poller.next(0);
  }

  /** @param {string} name @param {string | undefined} id @returns {View} */
  makeView(name, id) {
    switch (name) {
      case 'traffic': return new Traffic(this.context);
      case 'logins': return new Logins(this.context);
      case 'system': return new System(this.context);
      case 'users': return id && /^\d+$/.test(id) ? new UserView(this.context, Number(id)) : new Users(this.context, this.search);
      default: return new Overview(this.context);
    }
  }

  update() {
    this.showState();
    this.frame.content.classList.toggle('stale', this.isLost);
    this.view?.update();
  }

  showState() {
    const { t, f } = this.context;
    const now = this.mustSignIn ? undefined : this.history.newest;
    const faults = (now?.ready.but ?? []).map((fault) => faultText(this.context, fault));
    if (this.isLost) {
      this.frame.showState('bad', t('state.lost'));
      this.frame.showBanner('bad', t('lost.title'), [now ? t('lost.text', { time: f.clock(Date.parse(now.now)) }) : t('lost.text.never')]);
    } else if (!now) {
      this.frame.showState('idle', this.mustSignIn ? '' : t('state.waiting'));
      this.frame.showBanner('warn', '', []);
    } else if (!now.ready.ok) {
      this.frame.showState('bad', t('state.not_ready'));
      this.frame.showBanner('bad', t('fault.title.not_ready'), faults);
    } else {
      this.frame.showState(faults.length ? 'warn' : 'good', t(faults.length ? 'state.limited' : 'state.ready'));
      this.frame.showBanner('warn', faults.length ? t('fault.title') : '', faults);
    }
  }

  /** @param {unknown} error */
  explain(error) {
    const { t } = this.context;
    if (!(error instanceof api.ApiError)) throw error;
    if (error.status === 401) {
      this.end();
      return t('signin.ended');
    }
    if (error.status === 0) return t('error.unreachable');
    if (error.status === 404) return t('error.not_found');
    return refusalText(this.context, error);
  }
}

/** Closes what lies over the page, as a press of Escape does. */
function closeDialogs() {
  document.querySelectorAll('dialog').forEach((dialog) => dialog.close());
}
