import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errorFromNode, isNodeError, SoulBoxError } from '@soulbox/base';

const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface OutputFileOptions {
  /** Replace a file that exists. */
  readonly overwrite: boolean;
}

/**
 * Runs a command whose standard output goes into a file. The file appears when the command has ended without an error
 * and everything is on the disk. Throws `file_exists`, `disk_full` and other errors of the disk.
 */
export async function withOutputFile<T>(
  file: string,
  { overwrite }: OutputFileOptions,
  run: () => Promise<T>,
): Promise<T> {
  if (!overwrite && existsSync(file)) throw fileExists(file);
  const part = join(dirname(file), `.${basename(file)}.${process.pid}.part`);
  const write = process.stdout.write.bind(process.stdout);
  const isTerminal = process.stdout.isTTY;
  let fault: Error | undefined;
  const removeAndEnd = (signal: NodeJS.Signals): void => {
    rmSync(part, { force: true });
    process.kill(process.pid, signal);
  };
  const descriptor = told(file, () => openSync(part, 'wx', 0o666));
  for (const signal of endSignals) process.once(signal, removeAndEnd);
  try {
    // The console drops errors of its stream.
    process.stdout.write = (chunk: string | Uint8Array, ...rest: readonly unknown[]): boolean => {
      try {
        if (fault === undefined) writeFileSync(descriptor, chunk);
      } catch (error) {
        fault = error instanceof Error ? error : new Error(String(error));
      }
      const done = rest.find((argument) => typeof argument === 'function');
      if (done !== undefined) process.nextTick(done);
      return true;
    };
    // Otherwise tables would be cut to the width of the window, and have colors.
    process.stdout.isTTY = false;
    const result = await run();
    told(file, () => {
      if (fault !== undefined) throw fault;
      fsyncSync(descriptor);
      // A link fails for a file that has appeared in the meantime.
      if (overwrite) renameSync(part, file);
      else linkSync(part, file);
    });
    return result;
  } finally {
    process.stdout.write = write;
    process.stdout.isTTY = isTerminal;
    for (const signal of endSignals) process.off(signal, removeAndEnd);
    closeSync(descriptor);
    rmSync(part, { force: true });
  }
}

function told<T>(file: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (isNodeError(error) && error.code === 'EEXIST') throw fileExists(file);
    throw isNodeError(error) ? errorFromNode(error, `${file} cannot be written (${error.code ?? ''}).`) : error;
  }
}

const fileExists = (file: string): SoulBoxError =>
  new SoulBoxError('file_exists', `${file} exists. Replace it with --overwrite, or name another file.`);
