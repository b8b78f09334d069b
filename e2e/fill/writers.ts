import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandHandle } from 'e2b';
import { Sandbox } from 'e2b';

type Mode = 'plain' | 'fsync';

/** A sandbox that writes. Later calls go only to its envd, because the control plane may refuse on a full disk. */
export interface Writer {
  readonly sandbox: Sandbox;
  readonly sandboxId: string;
  readonly pid: number;
  readonly mode: Mode;
}

export interface Verdict {
  readonly good: number;
  readonly bad: number;
  readonly refused: number;
  /** Descriptions of faults. */
  readonly faults: readonly string[];
}

const script = '/tmp/writer.pl';
const folder = '/home/user/written';

/** All exist before the first one writes, because a full disk has no room for a new sandbox. */
export async function startWriters(count: number): Promise<Writer[]> {
  const sandboxes = await Promise.all(Array.from({ length: count }, async () => await createWithScript()));
  return await Promise.all(sandboxes.map(async (sandbox, number) => await startWriter(sandbox, number)));
}

async function createWithScript(): Promise<Sandbox> {
  const sandbox = await Sandbox.create({ timeoutMs: 3_600_000 });
  await sandbox.files.write(script, await readFile(join(import.meta.dirname, 'writer.pl'), 'utf8'));
  return sandbox;
}

async function startWriter(sandbox: Sandbox, number: number): Promise<Writer> {
  const mode = number % 2 === 0 ? 'plain' : 'fsync';
  const command = `perl ${script} ${folder} ${mode}`;
  const { pid } = await sandbox.commands.run(command, { background: true, timeoutMs: 0 });
  return { sandbox, sandboxId: sandbox.sandboxId, pid, mode };
}

/** Stops the writing. Resolves when it has stopped. */
export async function stopWriting(writer: Writer): Promise<void> {
  await exchange(writer, (line) => line === 'still');
}

/** Makes it read back all accepted writes. */
export async function verify(writer: Writer): Promise<Verdict> {
  const lines = await exchange(writer, (line) => line.startsWith('read '));
  const count = (name: string): number => Number(new RegExp(`${name}=(\\d+)`).exec(lines.at(-1) ?? '')?.[1]);
  const faults = lines.slice(0, -1).map((line) => `${writer.sandboxId} (${writer.mode}): ${line}`);
  return { good: count('good'), bad: count('bad'), refused: count('refused'), faults };
}

/** Sends the signal for the next step, and returns all output until `isLast`. */
async function exchange({ sandbox, pid }: Writer, isLast: (line: string) => boolean): Promise<string[]> {
  const lines: string[] = [];
  let rest = '';
  const done = Promise.withResolvers<undefined>();
  const handle: CommandHandle = await sandbox.commands.connect(pid, {
    timeoutMs: 0,
    onStdout: (text) => {
      const parts = (rest + text).split('\n');
      rest = parts.pop() ?? '';
      lines.push(...parts);
      if (parts.some((line) => isLast(line) || line.startsWith('fault:'))) done.resolve(undefined);
    },
  });
  const ended = handle.wait().then(
    () => done.resolve(undefined),
    () => done.resolve(undefined),
  );
  // The stream must exist before the signal is sent.
  await sleep(100);
  await sandbox.commands.run(`kill -USR1 ${pid}`);
  await done.promise;
  await handle.disconnect();
  await ended;
  const fault = lines.find((line) => line.startsWith('fault:'));
  if (fault !== undefined) throw new Error(`the writer in ${sandbox.sandboxId} met a ${fault}`);
  if (!lines.some(isLast)) throw new Error(`the writer in ${sandbox.sandboxId} ended: ${lines.join('\n')}`);
  return lines;
}
