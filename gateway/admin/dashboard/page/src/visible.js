// What strangers wrote, for people to read: nothing in it is invisible, and nothing moves what stands beside it.

// Controls, format characters such as bidi overrides, and whatever else Unicode draws as nothing.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u;
const PICTURE = /[\p{Extended_Pictographic}\p{Emoji_Modifier}\uFE0F]/u;
const KEYCAP_BASE = /[0-9#*\p{Extended_Pictographic}]/u;

/**
 * Splits a text into what can be seen and the code points that cannot, as U+202E. Joiners and selectors within an emoji stay.
 * @param {string} text @returns {{text: string, hidden: boolean}[]}
 */
export function segments(text) {
  const letters = Array.from(text);
  /** @type {{text: string, hidden: boolean}[]} */
  const parts = [];
  letters.forEach((letter, i) => {
    const hidden = UNSEEN.test(letter) && !isPartOfEmoji(letters, i);
    const last = parts[parts.length - 1];
    if (hidden) parts.push({ text: codePoint(letter), hidden });
    else if (last && !last.hidden) last.text += letter;
    else parts.push({ text: letter, hidden });
  });
  return parts;
}

/** @param {string[]} letters @param {number} i */
function isPartOfEmoji(letters, i) {
  const before = letters[i - 1] ?? '';
  if (letters[i] === '\u200D') return PICTURE.test(before) && /\p{Extended_Pictographic}/u.test(letters[i + 1] ?? '');
  return letters[i] === '\uFE0F' && KEYCAP_BASE.test(before);
}

/** @param {string} letter */
function codePoint(letter) {
  return `U+${(letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}

/** The same as one text, for where no element can stand, as in a title. @param {string} text */
export const plain = (text) => segments(text).map((part) => (part.hidden ? `[${part.text}]` : part.text)).join('');
