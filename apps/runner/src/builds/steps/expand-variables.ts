/**
 * `$NAME`, `${NAME}`, and the forms of parameter expansion that choose a word: `${NAME:-word}`, `${NAME-word}`,
 * `${NAME:+word}`, `${NAME+word}`. A backslash escapes the next `$`, `\`, `"` or backtick. Everything else, above all
 * command substitutions, is left unchanged.
 */
const form = /\\([\\$"`])|\$([A-Za-z_][A-Za-z0-9_]*)|\$\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+])([^{}$`]*))?\}/g;

/** Expands variables in `text` as a shell does, but runs no command. Unset variables are empty. */
export function expandVariables(text: string, find: (name: string) => string | undefined): string {
  return text.replace(
    form,
    (
      _,
      escaped: string | undefined,
      plain: string | undefined,
      braced: string | undefined,
      operator: string | undefined,
      word: string | undefined,
    ) => {
      if (escaped !== undefined) return escaped;
      const value = find(plain ?? braced ?? '');
      const isSet = operator?.startsWith(':') === true ? (value ?? '') !== '' : value !== undefined;
      if (operator?.endsWith('-') === true) return isSet ? (value ?? '') : (word ?? '');
      if (operator?.endsWith('+') === true) return isSet ? (word ?? '') : '';
      return value ?? '';
    },
  );
}

/** The variables that a text needs. */
export function namesIn(text: string): string[] {
  return [...text.matchAll(form)].flatMap(([, , plain, braced]) => plain ?? braced ?? []);
}
