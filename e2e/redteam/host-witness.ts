import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Python of the host: for the witness and for controls. */
export const hostPython = '/usr/bin/python3';

/** What the host has and no sandbox may find, readable for everybody on the host. */
export interface HostWitness extends AsyncDisposable {
  /** The name of its abstract socket; also in the command line of its process and in the file. */
  readonly word: string;
  readonly file: string;
  readonly pid: number;
}

/** `folder` is created, and removed at the end. `queue`: the key of its message queue. */
export async function openHostWitness(folder: string, word: string, queue: number): Promise<HostWitness> {
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const file = join(folder, 'file');
  await writeFile(file, `${word}\n`, { mode: 0o644 });
  const child = spawn(hostPython, [join(import.meta.dirname, 'host-witness.py'), word, String(queue)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  await Promise.race([once(child.stdout, 'data'), ended]);
  if (child.pid === undefined || child.exitCode !== null) throw new Error('the witness of the host did not start');
  return {
    ...{ word, file, pid: child.pid },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}
