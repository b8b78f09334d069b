import type { Variables } from '../kernel.ts';

/**
 * The shell's pipes are copied out of the way of code that redirects its own: 250 and 251 are its outputs, 252 tells the status.
 * An interactive shell runs PROMPT_COMMAND whenever it is ready: after a line, and also after an interrupt, which only an
 * interactive shell survives.
 */
export const setUp = [
  'exec 250>&1 251>&2 252>&3 3>&-',
  'set +o history +H +m',
  'PS1= PS2=',
  'unset HISTFILE',
  `PROMPT_COMMAND='printf "%s\\n" "$?" >&252'`,
].join('; ');

/** One line that sets these variables or takes them away. Names that the shell cannot hold are left out. */
export function statements(variables: Variables): string {
  return Object.entries(variables)
    .filter(([name]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    .map(([name, value]) => (value === null ? `unset ${name}` : `export ${name}=${quote(value)}`))
    .concat(':')
    .join('; ');
}

/** Text as one word on one line, in the quotes that know escapes. A shell's word cannot hold NUL: it ends there. */
export function quote(text: string): string {
  const bytes = Array.from(Buffer.from(text.replaceAll('\0', '')), (byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9_ ./:=+,@%-]/.test(character) ? character : `\\x${byte.toString(16).padStart(2, '0')}`;
  });
  return `$'${bytes.join('')}'`;
}
