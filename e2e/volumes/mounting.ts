import { Volume } from 'e2b';
import type { Sandbox } from 'e2b';
import { findServerPart } from '@soulbox/testing';
import { onTestFinished } from 'vitest';
import { createSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';
import { until } from '../harness/until.ts';

/** A sandbox with a new volume at /data. The volume is removed at the end of the test. */
export async function mounting(name: string): Promise<Sandbox> {
  const volume = await Volume.create(name);
  onTestFinished(async () => {
    await Volume.destroy(volume.volumeId);
  });
  return await createSandbox({ volumeMounts: { '/data': volume } });
}

export const run = async ({ commands }: Sandbox, command: string, user = 'user'): Promise<string> =>
  (await commands.run(command, { timeoutMs: 240_000, user })).stdout.trim();

/** Ends the process that serves the volumes of the server, which starts the next one. */
export async function killService(): Promise<void> {
  const pid = findServerPart(server.pid, 'volumes');
  if (pid === undefined) throw new Error('The volume service does not run.');
  process.kill(pid, 'SIGKILL');
  await until('the end of the process', () => findServerPart(server.pid, 'volumes') !== pid);
}
