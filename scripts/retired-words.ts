export interface RetiredWord {
  /** In lower case; several words are joined by dashes, as in a file name. */
  readonly word: string;
  /** The replacement. */
  readonly use: string;
  /** Files that may still use it, for instance because it is a name on the disk. An unneeded entry is an error. */
  readonly still?: readonly string[];
}

/** The uses of retired words, one line each. `files` contains the text of each file by its path. */
export function findRetired(files: ReadonlyMap<string, string>, retired: readonly RetiredWord[]): string[] {
  return retired.flatMap(({ word, use, still = [] }) => {
    const having = [...files].filter(([path, text]) => has(path, word) || has(text, word)).map(([path]) => path);
    const found = having.filter((path) => !still.includes(path)).map((path) => `${path}: "${word}" is now ${use}`);
    const stale = still.filter((path) => !having.includes(path)).map((path) => `${path} has no "${word}" any more`);
    return [...found, ...stale];
  });
}

/**
 * Whether a text contains a word in any form: in prose, `like-this`, `like_this`, `likeThis` or `LIKE_THIS`. For
 * several words only identifiers and file names count: in prose each of them has its own meaning.
 */
function has(text: string, word: string): boolean {
  const [first = '', ...others] = word.split('-');
  const capital = (part: string): string => `${part.charAt(0).toUpperCase()}${part.slice(1)}`;
  const rest = (join: string, form: (part: string) => string): string =>
    others.map((part) => `${join}${form(part)}`).join('');
  const camel = `(?:(?<![A-Za-z])${first}|${capital(first)})${rest('', capital)}`;
  const dashed = `(?<![A-Za-z])${first}${rest('[-_]', (part) => part)}`;
  const upper = `(?<![A-Z])${first.toUpperCase()}${rest('_', (part) => part.toUpperCase())}`;
  return new RegExp(`(?:${camel}|${dashed})(?:e?s|ed)?(?![a-z])|${upper}(?:E?S|ED)?(?![A-Z])`).test(text);
}
