/** A path from a view as text for people: UTF-8 if it is that, without characters that a terminal would obey. */
export function showPath(path: string): string {
  const text = utf8From(path) ?? path.replaceAll(/[\x80-\xff]/g, escapeOf);
  // Control characters, and those that reorder text.
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\\]/gu, escapeOf);
}

/** The form of a path in a view. */
export function pathFromText(text: string): string {
  const path = Buffer.from(text, 'utf8').toString('latin1').replace(/\/+$/, '');
  return path.startsWith('/') || path === '' ? path : `/${path}`;
}

function utf8From(latin1: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(latin1, 'latin1'));
  } catch {
    return undefined;
  }
}

const escapeOf = (character: string): string =>
  character === '\\' ? '\\\\' : `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
