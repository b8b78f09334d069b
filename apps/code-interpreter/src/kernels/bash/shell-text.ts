import type { Variables } from '../kernel.ts';

/**
 * The shell's pipes are copied to other descriptors because code may redirect its own: 250 and 251 are the outputs, 252
 * reports the status. An interactive shell runs PROMPT_COMMAND whenever it is ready: after a line, and also after an
 * interrupt. Only an interactive shell survives an interrupt.
 */
export const setUp = [
  'exec 250>&1 251>&2 252>&3 3>&-',
  'set +o history +H +m',
  'PS1= PS2=',
  'unset HISTFILE',
  `PROMPT_COMMAND='printf "%s\\n" "$?" >&252'`,
].join('; ');

/** One line that sets or removes these variables. Names that are not valid in the shell are left out. */
export function statements(variables: Variables): string {
  return Object.entries(variables)
    .filter(([name]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    .map(([name, value]) => (value === null ? `unset ${name}` : `export ${name}=${quote(value)}`))
    .concat(':')
    .join('; ');
}

/**
 * Encodes text as one shell word on one line, in the quotes that support escapes ($'...'). NUL is removed because it
 * would end the word.
 */
export function quote(text: string): string {
  const bytes = Array.from(Buffer.from(text.replaceAll('\0', '')), (byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9_ ./:=+,@%-]/.test(character) ? character : `\\x${byte.toString(16).padStart(2, '0')}`;
  });
  return `$'${bytes.join('')}'`;
}
