import { CommandError, SoulBoxError } from '@soulbox/base';
import { runWithLines } from '../run-with-lines.ts';

// What unpacking owners, modes, devices and file capabilities takes; none of it reaches processes, mounts or networks.
const keptCapabilities = ['chown', 'dac_override', 'fowner', 'fsetid', 'mknod', 'setfcap', 'sys_chroot'];

/**
 * Runs a program that parses a foreign archive: without a network, without most of root's powers and without a way to
 * get them back. Throws `limit_exceeded` when the scratch disk is full, `bad_request` with the program's own words else.
 */
export async function runConfined(
  command: string,
  args: readonly string[],
  options: { what: string; timeoutMs: number; signal?: AbortSignal },
): Promise<void> {
  const bounding = `-all,${keptCapabilities.map((name) => `+${name}`).join(',')}`;
  const wall = ['--net', '--ipc', '--', 'setpriv', `--bounding-set=${bounding}`, '--no-new-privs', '--'];
  await explainFaults(options.what, async () => {
    await runWithLines('unshare', [...wall, command, ...args], {
      timeoutMs: options.timeoutMs,
      onLine: () => undefined,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  });
}

/** Runs `work` and turns a program's failure into an error for the person who imports `what`. */
export async function explainFaults<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    if (/no space left on device/i.test(error.stderr)) {
      throw new SoulBoxError('limit_exceeded', `${what} is larger than an import may be, or has too many files.`, {
        cause: error,
      });
    }
    if (error.exitCode === undefined && error.stderr === '') {
      throw new SoulBoxError('limit_exceeded', `${what} took too long to unpack.`, { cause: error });
    }
    const words = error.stderr.trim().split('\n').slice(-3).join(' ');
    throw new SoulBoxError('bad_request', `${what} cannot be imported: ${words || error.message}`, { cause: error });
  }
}
