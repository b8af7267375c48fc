// What is wrong, in the words of the page: faults of the gateway, and why it has refused what it was asked.
import { REASONS } from './reasons.js';

/** @typedef {import('./page.js').Context} Context */

/** @param {Pick<Context, 't'>} context @param {import('./api.js').Fault} fault one that the page does not know is told in English */
export function faultText({ t }, { fault, values, text }) {
  const key = `fault.${fault}`;
  const told = t(key, values);
  return told === key ? text : told;
}

/** @param {Pick<Context, 't' | 'language'>} context @param {import('./api.js').ApiError} error whose detail is in English */
export function refusalText({ t, language }, { reason, message, detail, requestId }) {
  let text = REASONS[language][reason] ?? message;
  if (detail && detail !== text) text = t('error.detail', { message: text, detail });
  return requestId ? t('error.request', { message: text, id: requestId }) : text;
}
