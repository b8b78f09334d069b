/** Flags with the same meaning in every command that starts a process. */
export const processArgs = {
  user: { type: 'string', description: 'User in the sandbox (default: that of the sandbox)', valueHint: 'NAME' },
  cwd: { type: 'string', description: 'Working directory', valueHint: 'PATH' },
  env: { type: 'string', description: 'A variable; may be repeated', valueHint: 'NAME=VALUE' },
} as const;

export const detachKeysArg = {
  type: 'string',
  description: 'Keys that leave the terminal while its program continues (default ctrl-p,ctrl-q; none)',
  valueHint: 'KEYS',
} as const;

export const fromArg = {
  type: 'string',
  description: 'Output from this position on, or start, or end (default start)',
  valueHint: 'POSITION',
} as const;

/** Variables of the terminal that its programs must know. */
export function terminalVariables(
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  const { TERM: term = '', COLORTERM: colors = '' } = environment;
  const isName = (text: string): boolean => /^[\w.+-]{1,64}$/.test(text);
  return { TERM: isName(term) ? term : 'dumb', ...(isName(colors) ? { COLORTERM: colors } : {}) };
}
