/** Where sandboxes have envd and its libraries. */
const envdBundle = '/.soulbox';

/** What runs in a sandbox, as arguments: nothing that a client sends becomes a part of our own text. */
export interface InsideCommand {
  readonly command: string;
  readonly args: readonly string[];
}

/**
 * Runs one module of JavaScript in the Bun that is in envd, with these arguments. So sandboxes need no such program, also
 * those of earlier versions, and nothing is written into them.
 */
export function insideProgram(module: string, args: readonly string[] = []): InsideCommand {
  const script = `exec env BUN_BE_BUN=1 ${envdBundle}/ld-* --library-path ${envdBundle} ${envdBundle}/envd -e "$@"`;
  return { command: '/bin/sh', args: ['-c', script, 'sh', module, ...args] };
}
