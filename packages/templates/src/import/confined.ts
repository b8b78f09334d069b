import { CommandError, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { runWithLines } from '../run-with-lines.ts';
import { hasFileWall, wallFlags } from './file-wall.ts';

// The capabilities to unpack owners, modes, devices and file capabilities; none of them affects processes, mounts or
// networks.
const keptCapabilities = ['chown', 'dac_override', 'fowner', 'fsetid', 'mknod', 'setfcap', 'sys_chroot'];

/**
 * Runs a program that parses an untrusted archive: without a network, without most of root's capabilities, without a way
 * to regain them, and without any file except its own, the scratch disk and `reads`, where the host has Landlock. Throws `limit_exceeded` if the scratch disk is full, otherwise `bad_request` with the program's
 * own message.
 */
export async function runConfined(
  command: string,
  args: readonly string[],
  options: {
    what: string;
    scratch: string;
    reads?: readonly string[];
    timeoutMs: number;
    signal?: AbortSignal;
    logger: Logger;
  },
): Promise<void> {
  const { scratch, reads = [] } = options;
  const files = (await hasFileWall(options.logger)) ? wallFlags({ reads, writes: [scratch] }) : [];
  const bounding = `-all,${keptCapabilities.map((name) => `+${name}`).join(',')}`;
  const wall = ['--net', '--ipc', '--', 'setpriv', `--bounding-set=${bounding}`, ...files, '--no-new-privs', '--'];
  // The person who imports the image need not know where on the host it was unpacked.
  const explain = (words: string): string => lastWords(words).replaceAll(options.scratch, '');
  const work = async (): Promise<void> => {
    await runWithLines('unshare', [...wall, command, ...args], {
      timeoutMs: options.timeoutMs,
      onLine: () => undefined,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  };
  await explainFaults(options.what, work, explain);
}

/** The last lines of a program's output, for people who may read all of it. */
export function lastWords(words: string): string {
  return words.trim().split('\n').slice(-3).join(' ');
}

/**
 * Runs `work` and turns a program's failure into an error for the person who imports `what`; `explain` turns the
 * program's output into a message that this person may read.
 */
export async function explainFaults<T>(
  what: string,
  work: () => Promise<T>,
  explain: (words: string) => string,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    if (/no space left on device/i.test(error.stderr)) {
      throw new SoulBoxError('limit_exceeded', `${what} exceeds the size limit of an import or has too many files.`, {
        cause: error,
      });
    }
    if (error.exitCode === undefined && error.stderr === '') {
      throw new SoulBoxError('limit_exceeded', `${what} took too long to unpack.`, { cause: error });
    }
    throw new SoulBoxError('bad_request', `${what} cannot be imported: ${explain(error.stderr)}`, { cause: error });
  }
}
