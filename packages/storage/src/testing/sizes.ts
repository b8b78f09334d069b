import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { folderPathFromKey } from '../objects/disk/object-path.ts';
import { openObjectStore } from '../objects/open-object-store.ts';
import type { ObjectStore } from '../objects/object-store.ts';

/** What long work took. */
export interface Taken {
  readonly seconds: number;
  /** By how much the memory of this process grew at most. */
  readonly grownMib: number;
}

const mib = 1024 * 1024;
const sampleMs = 50;

/** Runs work, and tells what it took. */
export async function measure(work: () => Promise<void>): Promise<Taken> {
  const rssMib = (): number => process.memoryUsage.rss() / mib;
  const before = rssMib();
  let most = before;
  const timer = setInterval(() => (most = Math.max(most, rssMib())), sampleMs);
  const startedAt = performance.now();
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return {
    seconds: (performance.now() - startedAt) / 1000,
    grownMib: Math.round(Math.max(most, rssMib()) - before),
  };
}

/** Each MiB is another one, so that a part in a wrong place is noticed. */
function blockOf(index: number): Buffer {
  const block = Buffer.alloc(mib, index % 251);
  block.writeUInt32LE(index);
  return block;
}

/** Writes an object of so many MiB as a stream, and reads it. Throws if a byte differs. */
export async function passLargeObject(store: ObjectStore, sizeMib: number): Promise<Record<'put' | 'get', Taken>> {
  async function* blocks(): AsyncGenerator<Uint8Array> {
    for (let index = 0; index < sizeMib; index += 1) yield await Promise.resolve(blockOf(index));
  }
  const put = await measure(async () => {
    const { sizeBytes } = await store.put('large', blocks());
    if (sizeBytes !== sizeMib * mib) throw new Error(`The store has ${sizeBytes} bytes of ${sizeMib} MiB.`);
  });
  const get = await measure(async () => {
    const { body } = await store.get('large');
    let passed = 0;
    let expected = blockOf(0);
    for await (const chunk of body as AsyncIterable<Uint8Array>)
      for (let at = 0; at < chunk.length;) {
        const start = passed % mib;
        if (start === 0) expected = blockOf(passed / mib);
        const part = chunk.subarray(at, at + mib - start);
        if (Buffer.compare(part, expected.subarray(start, start + part.length)) !== 0)
          throw new Error(`Wrong bytes in the MiB ${Math.floor(passed / mib)}.`);
        passed += part.length;
        at += part.length;
      }
    if (passed !== sizeMib * mib) throw new Error(`Only ${passed} bytes of ${sizeMib} MiB came back.`);
  });
  await store.delete('large');
  return { put, get };
}

/**
 * Makes empty objects `prefix` + name of a `file:` store, and returns their folder. The files are made directly: a put
 * flushes each. `prefix` is empty or ends with a slash.
 */
export async function makeEmptyObjects(root: string, prefix: string, names: readonly string[]): Promise<string> {
  const folder = join(root, folderPathFromKey(prefix));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const together = 1000;
  for (let at = 0; at < names.length; at += together)
    await Promise.all(names.slice(at, at + together).map((name) => writeFile(join(folder, name), '')));
  return folder;
}

/**
 * Lists so many empty objects of one folder of a `file:` store, page by page. Throws if one is missing, twice there, or
 * not in order.
 */
export async function listManyObjects(folder: string, count: number): Promise<Taken> {
  const root = join(folder, 'many');
  const names = Array.from({ length: count }, (_, index) => `n${String(index).padStart(8, '0')}`);
  await makeEmptyObjects(root, '', names);
  await using store = await openObjectStore(`file://${root}`);
  return await measure(async () => {
    let next = 0;
    let cursor: string | undefined;
    do {
      const page = await store.list(cursor === undefined ? {} : { cursor });
      for (const { key } of page.objects) {
        if (key !== names[next]) throw new Error(`The list has ${key} where ${names[next]} should be.`);
        next += 1;
      }
      cursor = page.cursor;
    } while (cursor !== undefined);
    if (next !== count) throw new Error(`The list has ${next} of ${count} objects.`);
  });
}
