import { hash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@soulbox/base/logger';
import { blockKeyBytes, openBlock, sealBlock } from '@soulbox/keyring/blocks';
import { damaged } from '../damage.ts';
import type { CheckpointFacts } from '../manifest.ts';
import { openCheckpointStore } from '../open-checkpoint-store.ts';
import type { CheckpointStoreOptions } from '../open-checkpoint-store.ts';
import type { CheckpointKeys } from '../sealing/checkpoint-keys.ts';
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

/** Keys without files. All tests have the same, in all processes. */
export function testKeys(key = Buffer.alloc(blockKeyBytes, 7)): CheckpointKeys {
  return {
    seal: (checkpointId, plain) => {
      const { bytes, seal } = sealBlock(key, Buffer.from(checkpointId), plain);
      return Promise.resolve(`${seal}.${bytes.toString('base64')}`);
    },
    open: (checkpointId, sealed) => {
      const [seal, bytes = ''] = sealed.split('.');
      const plain = openBlock(key, Buffer.from(checkpointId), Buffer.from(bytes, 'base64'), seal);
      return plain === undefined
        ? Promise.reject(damaged('The key of the checkpoint is altered'))
        : Promise.resolve(plain);
    },
  };
}

/** Options of a store in this folder. Its folder for clear content is below it. */
export function testOptions(directory: string): CheckpointStoreOptions {
  const clearDirectory = join(directory, 'clear');
  mkdirSync(clearDirectory, { recursive: true });
  return { directory, clearDirectory, keys: testKeys(), logger: silentLogger };
}

/** SHA-256 of each part. To compare large buffers takes a test tool seconds. */
export function hashesOf(parts: Readonly<Record<string, Buffer>>): Record<string, string> {
  return Object.fromEntries(Object.entries(parts).map(([name, content]) => [name, hash('sha256', content)]));
}

/** SHA-256 of the parts of a checkpoint as a restore gets them. */
export async function readParts(checkpoint: Checkpoint): Promise<Record<string, string>> {
  await using clear = await checkpoint.reveal({ isMemory: () => false, isLate: () => false });
  const names = (await readdir(clear.directory)).filter((name) => name in checkpoint.manifest.parts);
  const entries = names.map(async (name) => [name, await readFile(join(clear.directory, name))] as const);
  return hashesOf(Object.fromEntries(await Promise.all(entries)));
}

export interface TestStore extends AsyncDisposable {
  readonly directory: string;
  readonly store: CheckpointStore;
  /** Closes the store and opens it again, as a restarted server does. */
  reopen(): Promise<CheckpointStore>;
}

export async function openTestStore(): Promise<TestStore> {
  const directory = await mkdtemp(join(tmpdir(), 'soulbox-states-'));
  const options = testOptions(directory);
  let store = await openCheckpointStore(options);
  return {
    directory,
    get store() {
      return store;
    },
    async reopen() {
      await store[Symbol.asyncDispose]();
      store = await openCheckpointStore(options);
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
