import type { ProgramEnd } from '@soulbox/envd-client';

/** The names of RFC 4254, section 6.10, by envd's texts. */
const names: Readonly<Record<string, string>> = {
  aborted: 'ABRT',
  'alarm clock': 'ALRM',
  'floating point exception': 'FPE',
  hangup: 'HUP',
  'illegal instruction': 'ILL',
  interrupt: 'INT',
  killed: 'KILL',
  'broken pipe': 'PIPE',
  quit: 'QUIT',
  'segmentation fault': 'SEGV',
  terminated: 'TERM',
  'signal 10': 'USR1',
  'signal 12': 'USR2',
};

export type Exit =
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'signal'; readonly name: string; readonly hasDumped: boolean };

/** How a program ended, in the terms of SSH. A signal that SSH has no name for is the status that shells report. */
export function exitOf({ exitCode, status }: ProgramEnd): Exit {
  const text = /^signal: (.*?)( \(core dumped\))?$/.exec(status);
  if (text === null) return { kind: 'status', status: exitCode & 0xff };
  const name = names[text[1] ?? ''];
  if (name !== undefined) return { kind: 'signal', name, hasDumped: text[2] !== undefined };
  const number = Number(/^signal (\d+)$/.exec(text[1] ?? '')?.[1] ?? 127);
  return { kind: 'status', status: 128 + (number & 0x7f) };
}
