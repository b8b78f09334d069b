import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@soulbox/base';
import type { CheckpointFacts } from '../manifest.ts';
import { openCheckpointStore } from '../open-checkpoint-store.ts';
import type { Checkpoint, CheckpointStore } from '../checkpoint-store.ts';

export const mib = 1024 * 1024;

export function testFacts(more: Partial<CheckpointFacts> = {}): CheckpointFacts {
  return {
    createdAtMs: 1_790_000_000_000,
    driver: 'container',
    driverVersion: 'criu 4.2.1',
    hasMemory: true,
    cpuType: 'c0ffee',
    templateId: 'tbase',
    runtimeName: 'r1',
    cpuCount: 2,
    memoryMb: 512,
    diskMb: 1024,
    layers: [],
    tenant: { accessToken: 'secret-of-the-tenant' },
    ...more,
  };
}

/** Bytes that differ from block to block. */
export function patternOf(sizeBytes: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  for (let at = 0; at + 4 <= sizeBytes; at += 512) bytes.writeUInt32LE((at / 512 + 1) * seed, at);
  return bytes;
}

/** A small part, an empty one, and one of 2.5 blocks. */
export const testParts: Readonly<Record<string, Buffer>> = {
  'core-1.img': patternOf(1000, 3),
  'empty.img': Buffer.alloc(0),
  'pages-1.img': patternOf(2.5 * mib, 7),
};

export interface TestStore extends AsyncDisposable {
  readonly directory: string;
  readonly store: CheckpointStore;
  /** Closes the store and opens it again, as a restarted server does. */
  reopen(): Promise<CheckpointStore>;
}

export async function openTestStore(): Promise<TestStore> {
  const directory = await mkdtemp(join(tmpdir(), 'soulbox-states-'));
  let store = await openCheckpointStore({ directory, logger: silentLogger });
  return {
    directory,
    get store() {
      return store;
    },
    async reopen() {
      await store[Symbol.asyncDispose]();
      store = await openCheckpointStore({ directory, logger: silentLogger });
      return store;
    },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

export async function sealTestCheckpoint(
  store: CheckpointStore,
  checkpointId: string,
  facts = testFacts(),
): Promise<Checkpoint> {
  await using draft = await store.begin(checkpointId, facts.layers);
  for (const [name, content] of Object.entries(testParts)) await writeFile(join(draft.directory, name), content);
  return await draft.seal(facts);
}
