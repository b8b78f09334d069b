export interface RetiredWord {
  /** In small letters; several words with dashes between, as in a file name. */
  readonly word: string;
  /** What is said instead. */
  readonly use: string;
  /** Files that may still have it, for instance because it is a name on the disk. An entry that is not needed is an error. */
  readonly still?: readonly string[];
}

/** Where retired words stand, each in one line. `files` gives the text of each file by its path. */
export function findRetired(files: ReadonlyMap<string, string>, retired: readonly RetiredWord[]): string[] {
  return retired.flatMap(({ word, use, still = [] }) => {
    const having = [...files].filter(([path, text]) => has(path, word) || has(text, word)).map(([path]) => path);
    const found = having.filter((path) => !still.includes(path)).map((path) => `${path}: "${word}" is now ${use}`);
    const stale = still.filter((path) => !having.includes(path)).map((path) => `${path} has no "${word}" any more`);
    return [...found, ...stale];
  });
}

/**
 * Whether a text has a word in any form of writing: in prose, `like-this`, `like_this`, `likeThis` or `LIKE_THIS`. Of several words only
 * identifiers and file names count: in prose each of them means itself.
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
