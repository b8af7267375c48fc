// Questions before acts, and a word after them.
import { button, el } from './dom.js';

/**
 * Asks before an act and runs it; the dialog stays, with what went wrong, until it has worked or is cancelled.
 * harmless: the act takes nothing from anybody. typed: what must be written into the field first. choices: of which one is chosen.
 * @param {{
 *   title: string, text: Node | string, cancel: string, confirm: string,
 *   harmless?: boolean, typed?: {label: string, value: string}, choices?: {label: string, options: [value: string, text: string][]},
 *   act: (choice: string) => Promise<void>, explain: (error: unknown) => string,
 * }} question
 * @returns {Promise<boolean>} whether the act was done
 */
export function confirm({ title, text, cancel, confirm: word, typed, choices, harmless, act, explain }) {
  const { promise, resolve } = withResolvers();
  const select = choices && el('select', {}, ...choices.options.map(([value, label]) => el('option', { value }, label)));
  const field = typed && el('input', { type: 'text', autocomplete: 'off', inputMode: 'numeric', input: () => { go.disabled = field?.value.trim() !== typed.value; } });
  const wrong = el('p', { class: 'wrong', role: 'alert' });
  const go = el('button', { type: 'submit', class: `button ${harmless ? 'primary' : 'danger'}`, disabled: !!typed }, word);
  const stop = button(cancel, () => dialog.close());
  let done = false;
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    go.disabled = true;
    try {
      await act(select?.value ?? '');
      done = true;
      dialog.close();
    } catch (error) {
      wrong.textContent = explain(error);
      go.disabled = false;
    }
  };
  const form = el('form', { submit }, el('h2', { id: 'question' }, title), el('p', { class: 'isolate' }, text),
    choices && el('label', { class: 'field' }, el('span', {}, choices.label), select),
    typed && el('label', { class: 'field' }, el('span', {}, typed.label), field), wrong,
    el('div', { class: 'buttons' }, stop, go));
  const dialog = el('dialog', { 'aria-labelledby': 'question', close: () => { dialog.remove(); resolve(done); } }, form);
  document.body.append(dialog);
  dialog.showModal();
  (field ?? stop).focus();
  return promise;
}

/** @returns {{promise: Promise<boolean>, resolve: (value: boolean) => void}} */
function withResolvers() {
  /** @type {(value: boolean) => void} */
  let resolve = () => {};
  const promise = new Promise((/** @type {(value: boolean) => void} */ r) => { resolve = r; });
  return { promise, resolve };
}
