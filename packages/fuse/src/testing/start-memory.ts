import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Why tests with a real mount are skipped here; `undefined` if they are not. */
export const whyNoMounts = !existsSync('/dev/fuse')
  ? '/dev/fuse is missing'
  : process.getuid?.() === 0
    ? undefined
    : 'root is needed to mount';

export interface MemoryServer extends AsyncDisposable {
  readonly mountPoints: readonly string[];
  readonly pid: number;
  /** Sends a command of `memory-server.ts`. */
  readonly tell: (command: string) => Promise<string>;
  readonly faults: readonly string[];
}

/** Starts a process that serves a memory file system under `mounts` mounts. */
export async function startMemory(options: object = {}, mounts = 1): Promise<MemoryServer> {
  const folders: string[] = [];
  for (let count = 0; count < mounts; count += 1) folders.push(await mkdtemp(join(tmpdir(), 'fuse-test-')));
  const program = join(import.meta.dirname, 'memory-server.ts');
  const child = spawn(process.execPath, ['--conditions=soulbox-source', program, JSON.stringify(options), ...folders], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const faults: string[] = [];
  const waiting: ((line: string) => void)[] = [];
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('fault ')) faults.push(line);
    else waiting.shift()?.(line);
  });
  const nextLine = (): Promise<string> =>
    Promise.race([
      new Promise<string>((resolve) => waiting.push(resolve)),
      exited.then(() => Promise.reject(new Error('The server of a test ended.'))),
    ]);
  if (child.pid === undefined) throw new Error('The server of a test did not start.');
  const { pid } = child;
  const first = await nextLine();
  if (first !== 'ready') throw new Error(`The server said "${first}".`);
  return {
    ...{ mountPoints: folders, pid, faults },
    tell: async (command) => {
      const line = nextLine();
      child.stdin.write(`${command}\n`);
      return await line;
    },
    [Symbol.asyncDispose]: async () => {
      // Its end is a command to abort.
      child.stdin.end();
      await exited;
      for (const folder of folders) await rm(folder, { recursive: true });
    },
  };
}
