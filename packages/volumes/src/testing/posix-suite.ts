import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** The suite is of FUSE, whose example file system has to pass it too. */
const folder = join(import.meta.dirname, '../../../fuse/src/testing');
const timeoutMs = 240_000;
const randomMs = 1_800_000;

/** What the suite says of a file system. */
export interface PosixReport {
  readonly checks: number;
  /** A text for each check with another result than the one that POSIX and Linux promise. */
  readonly differences: readonly string[];
  /** The errors that each call was seen to return, in the order of the alphabet: `{ rmdir: ['ENOTDIR', …] }`. */
  readonly errors: Readonly<Record<string, readonly string[]>>;
}

/** The files of the suite, the first of which is the program. It needs Python 3.11 and root. */
export async function findPosixPrograms(): Promise<readonly string[]> {
  const names = (await readdir(folder)).filter((name) => /^posix_.*\.py$/.test(name));
  return ['posix.py', ...names].map((name) => join(folder, name));
}

/** Runs the suite on a folder of this host. `args` are options of the program. Throws if it cannot be run to its end. */
export async function runPosixSuite(onFolder: string, args: readonly string[] = []): Promise<PosixReport> {
  const [program = ''] = await findPosixPrograms();
  const { stdout, stderr } = await promisify(execFile)('/usr/bin/python3', [program, ...args, onFolder], {
    timeout: timeoutMs,
  }).catch((error: unknown) => error as { readonly stdout: string; readonly stderr: string });
  return readPosixReport(stdout, stderr);
}

/**
 * Makes random calls on one file, as fsx does, and compares its content with a model. Returns what the program says at the
 * end; throws if a byte differs.
 */
export async function runRandomContent(file: string, calls: number, seed: number): Promise<string> {
  const args = [join(folder, 'random_content.py'), file, String(calls), String(seed)];
  return (await promisify(execFile)('/usr/bin/python3', args, { timeout: randomMs })).stdout.trim();
}

/** Throws if the program has not run to its end. */
export function readPosixReport(stdout: string, stderr: string): PosixReport {
  try {
    return JSON.parse(stdout) as PosixReport;
  } catch (cause) {
    throw new Error(`The suite has not ended: ${stdout}${stderr}`, { cause });
  }
}
