// Elements are built from properties and text nodes. Nothing here, or anywhere in the page, parses HTML.
import { segments } from './visible.js';

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * An element. Of props, `class` and names with a dash are attributes, functions are listeners by the name of their event,
 * and the others are properties.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag @param {Record<string, any>} [props] @param {...Child} children @returns {HTMLElementTagNameMap[T]}
 */
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined) continue;
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (name === 'class' || name === 'role' || name === 'for' || name === 'colspan' || name.includes('-')) element.setAttribute(name, String(value));
    else Object.assign(element, { [name]: value });
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false).map((child) => /** @type {Node | string} */ (child)));
  return element;
}

/** Changes a text only if it is another: selections and screen readers are left alone. @param {Node} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** What strangers wrote, isolated, with the invisible in it made visible. @param {string} text @param {string} [more] a class */
export function said(text, more = '') {
  return el('bdi', { class: `said ${more}`.trim() }, ...marked(text));
}

/** A name or an address, in the same way. @param {string} text */
export const code = (text) => el('code', {}, ...marked(text));

/** @param {string} text */
const marked = (text) => segments(text).map((part) => (part.hidden ? el('span', { class: 'unseen' }, part.text) : part.text));

/** @param {string} text @param {(event: Event) => void} click @param {string} [more] a class */
export function button(text, click, more = '') {
  return el('button', { type: 'button', class: `button ${more}`.trim(), click }, text);
}

/** A state that does not speak by its colour alone. @param {'good' | 'warn' | 'bad' | 'idle'} kind @param {string} text */
export function badge(kind, text) {
  return el('span', { class: `badge ${kind}` }, el('span', { class: 'dot', 'aria-hidden': 'true' }), text);
}

/** A part of a view. @param {string} title @param {Record<string, any>} props @param {...Child} children */
export function panel(title, props, ...children) {
  const { tools, note, ...rest } = props;
  return el('section', { ...rest, class: `panel ${rest.class ?? ''}`.trim(), 'aria-label': title },
    el('div', { class: 'panel-head' }, el('h2', {}, title), note && el('p', { class: 'note' }, note), tools), ...children);
}

/** Names and what they stand for. @param {[string, Child][]} rows */
export function facts(rows) {
  return el('dl', { class: 'facts' }, ...rows.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
}
