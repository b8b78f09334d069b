/** @module-tag violation */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openCheckpointStore } from './open-checkpoint-store.ts';
import { testOptions } from './testing/test-store.ts';

const victim = fileURLToPath(new URL('./testing/seal-forever.ts', import.meta.url));
const rounds = 12;

/** Starts a process that seals checkpoints, and kills it after `lifeMs`. Gives the ids of the finished ones. */
async function sealUntilKilled(directory: string, prefix: string, lifeMs: number): Promise<string[]> {
  const child = spawn(process.execPath, [victim, directory, prefix], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const lines: string[] = [];
  const reader = createInterface(child.stdout).on('line', (line) => lines.push(line));
  await once(reader, 'line');
  await delay(lifeMs);
  child.kill('SIGKILL');
  await ended;
  return lines.slice(1);
}

test(
  'kill -9 at any moment leaves only complete checkpoints, and no finished one is lost',
  { timeout: 120_000 },
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'soulbox-states-'));
    try {
      for (let round = 0; round < rounds; round += 1) {
        const promised = await sealUntilKilled(directory, `r${round}`, Math.random() * 150);
        await using store = await openCheckpointStore(testOptions(directory));
        const found = await store.list();
        expect(await readdir(join(directory, 'states'))).toEqual([...found]);
        for (const id of found) await (await store.open(id)).verify();
        // The victim removes the second of every three after it has reported it.
        const kept = promised.filter((id) => Number(id.split('-')[1]) % 3 !== 1);
        expect(found).toEqual(expect.arrayContaining(kept));
        for (const id of found) await store.remove(id);
      }
    } finally {
      await rm(directory, { recursive: true });
    }
  },
);
