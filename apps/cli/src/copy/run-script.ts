import { SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import { printable, startPiped } from '@soulbox/envd-client';
import type { PipedProgram } from '@soulbox/envd-client';
import type { ReachedSandbox } from '../api/reach-sandbox.ts';

export interface ScriptRun {
  readonly program: PipedProgram;
  /** Its standard output. */
  readonly output: AsyncGenerator<Uint8Array, void>;
  /**
   * Throws what the script has written to standard errors, unless it ended with 0 or the accepted exit code. Needs that
   * `output` was read.
   */
  check(accepted?: number): void;
  /** Undefined before the end of `output`. */
  exitCode(): number | undefined;
}

export interface Script {
  readonly text: string;
  readonly args: readonly string[];
  readonly user: string | undefined;
  readonly hasInput?: boolean;
  /** A program with input that does not notice by itself that its caller has gone is ended after a day, too. */
  readonly isBounded?: boolean;
  readonly signal: AbortSignal;
}

/** A day. Otherwise the program would wait for a reader that was killed until the sandbox ends. */
const readingMaxMs = 86_400_000;
const maxErrorBytes = 8 * 1024;
/** Of each, one of these words. */
const reasonsByText: readonly (readonly [RegExp, Reason])[] = [
  [/no space left on device|disk quota exceeded/i, 'disk_full'],
  [/permission denied|operation not permitted|read-only file system/i, 'forbidden'],
  [/does not exist|no such file/i, 'file_not_found'],
  [/is not a folder/, 'not_a_directory'],
];

/** Runs one of our programs for the shell of the sandbox. */
export async function runScript({ target, token }: ReachedSandbox, script: Script): Promise<ScriptRun> {
  const { text, args, isBounded = script.hasInput !== true, ...options } = script;
  const program = await startPiped(target, token, {
    program: 'sh',
    args: ['-c', text, 'soulbox', ...args],
    // Messages are compared with English ones.
    env: { LC_ALL: 'C' },
    ...(isBounded ? { deadlineMs: readingMaxMs } : {}),
    ...options,
  });
  let errors = '';
  let exitCode: number | undefined;
  async function* readOutput(): AsyncGenerator<Uint8Array, void> {
    const all = program.readOutput();
    for (;;) {
      const step = await all.next();
      if (step.done === true) {
        exitCode = step.value;
        return;
      }
      const { stream, bytes } = step.value;
      if (stream === 'stdout') yield bytes;
      else errors = `${errors}${Buffer.from(bytes).toString('utf8')}`.slice(0, maxErrorBytes);
    }
  }
  return {
    program,
    output: readOutput(),
    exitCode: () => exitCode,
    check(accepted = 0) {
      if (exitCode !== undefined && exitCode !== 0 && exitCode !== accepted) throw scriptError(errors, exitCode);
    },
  };
}

function scriptError(errors: string, exitCode: number): SoulBoxError {
  const lines = printable(errors.trim()).split('\n');
  const reason = reasonsByText.find(([pattern]) => pattern.test(errors))?.[1] ?? 'bad_path';
  if (reason === 'disk_full') return new SoulBoxError(reason, 'The disk of the sandbox is full. Nothing was replaced.');
  const words = lines.slice(0, 3).join('; ');
  return new SoulBoxError(reason, words === '' ? `The sandbox ended the copy with exit code ${exitCode}.` : words);
}
