import { join } from 'node:path';
import { run } from '@soulbox/base';
import { findProgram } from '../system.ts';
import { findVersion, isAtLeast, showVersion } from '../versions.ts';
import type { Criu } from './criu.ts';
import { criuEnvironment } from './criu.ts';
import { tryCriu } from './trial.ts';

/** Setup puts our own CRIU here: the program `criu` with its libraries next to it. */
export const ownCriuDirectory = '/usr/local/lib/soulbox/criu';

/** CRIU before 4.2 cannot save an inet socket on kernel 6.16 and newer (its issues 2705 and 2718). */
export const minimumCriuVersion = [4, 2];

/**
 * Finds a CRIU that saves and restores processes on this host: our own, or else the system's. Undefined if there is
 * none, it is older than 4.2, or the trial failed; `onUnusable` then gets the reason. Takes about 10 ms, and about
 * 300 ms with the first trial on a kernel.
 */
export async function findCriu(onUnusable: (why: string) => void = () => undefined): Promise<Criu | undefined> {
  const criu = await locateCriu();
  if (criu === undefined) {
    onUnusable(`there is no CRIU of version ${minimumCriuVersion.join('.')} or newer`);
    return undefined;
  }
  const trial = await tryCriu(criu);
  if (trial.ok) return criu;
  onUnusable(trial.why);
  return undefined;
}

/** Like `findCriu`, but without a trial. */
export async function locateCriu(): Promise<Criu | undefined> {
  const own = await readCriu(join(ownCriuDirectory, 'criu'), ownCriuDirectory);
  if (own !== undefined) return own;
  const path = await findProgram('criu');
  return path === undefined ? undefined : await readCriu(path, '');
}

/** Undefined if the program does not run or is too old. */
export async function readCriu(program: string, libraryDirectory: string): Promise<Criu | undefined> {
  const env = criuEnvironment(libraryDirectory);
  const version = findVersion(await run(program, ['--version'], { env, timeoutMs: 10_000 }).catch(() => ''));
  if (version === undefined || !isAtLeast(version, minimumCriuVersion)) return undefined;
  return { program, libraryDirectory, version: showVersion(version) };
}
