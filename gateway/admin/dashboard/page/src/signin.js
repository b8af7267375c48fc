// The form that begins a session.
import { ApiError, signIn } from './api.js';
import { button, el } from './dom.js';
import { refusalText } from './fault.js';

/** @typedef {import('./page.js').Context} Context */

/**
 * @param {Context} context
 * @param {{withToken: boolean, notice: string, done: () => void}} options withToken: an admin token is configured
 * @returns {{element: HTMLFormElement, focus: () => void}}
 */
export function signInForm(context, { withToken, notice, done }) {
  const { t } = context;
  let by = withToken ? 'token' : 'code';
  const input = el('input', { id: 'proof', required: true, autocomplete: 'off', spellcheck: false, 'aria-describedby': 'hint' });
  const label = el('label', { for: 'proof' });
  const hint = el('p', { id: 'hint', class: 'note' });
  const wrong = el('p', { class: 'wrong', role: 'alert' });
  const go = el('button', { type: 'submit', class: 'button primary' }, t('signin'));
  const show = () => {
    input.type = by === 'token' ? 'password' : 'text';
    label.textContent = t(`signin.${by}`);
    hint.textContent = t(`signin.${by}.hint`);
  };
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const proof = input.value.trim();
    wrong.textContent = proof ? '' : t('signin.empty');
    if (!proof) return;
    go.disabled = true;
    try {
      await signIn(by === 'token' ? { token: proof } : { code: proof });
      input.value = '';
      done();
    } catch (error) {
      wrong.textContent = explain(context, by, error);
      input.select();
    } finally {
      go.disabled = false;
    }
  };
  const choose = (/** @type {string} */ name) => el('label', {},
    el('input', { type: 'radio', name: 'by', checked: name === by, change: () => { by = name; input.value = ''; show(); input.focus(); } }),
    el('span', {}, t(`signin.${name}`)));
  show();
  const element = el('form', { class: 'signin panel', submit, noValidate: true }, el('h1', {}, t('signin.title')),
    notice && el('p', { class: 'notice', role: 'status' }, notice),
    withToken && el('div', { class: 'choice', role: 'radiogroup', 'aria-label': t('signin.by') }, choose('token'), choose('code')),
    el('div', { class: 'field' }, label, input, hint), wrong, go);
  return { element, focus: () => input.focus() };
}

/**
 * The form over a page that can be read without a session, where no admin token is configured.
 * @param {Context} context @returns {Promise<boolean>} whether it was used
 */
export function signInDialog(context) {
  const { t } = context;
  return new Promise((resolve) => {
    let done = false;
    const form = signInForm(context, { withToken: false, notice: t('signin.changes'), done: () => { done = true; dialog.close(); } });
    form.element.classList.remove('panel');
    form.element.append(button(t('confirm.cancel'), () => dialog.close()));
    const dialog = el('dialog', { 'aria-label': t('signin.title'), close: () => { dialog.remove(); resolve(done); } }, form.element);
    document.body.append(dialog);
    dialog.showModal();
    form.focus();
  });
}

/** @param {Context} context @param {string} by @param {unknown} error */
function explain(context, by, error) {
  const { t } = context;
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 0) return t('error.unreachable');
  if (error.status === 429) return t('signin.slow', { seconds: error.retryAfter || 60 });
  return error.status === 401 ? t(`signin.wrong.${by}`) : refusalText(context, error);
}
