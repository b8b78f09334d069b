import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { hasNginx, hasValkey, startNginx, startValkey } from '@soulbox/cache/testing';
import type { ObjectCacheSettings } from '@soulbox/object-process';
import { createParcels, sealedObjects, socketAccess } from '@soulbox/vault';
import type { ObjectAccess } from '@soulbox/vault';
import type { Figure, Measurement } from '../measurement.ts';
import { startChild } from '../start-child.ts';
import { timeMs } from '../time.ts';
import { measureHosts } from './cache-hosts.ts';

const mib = 1024 * 1024;
const parcelMib = 32;
/** Of the store of this measurement. */
const latencyMs = 20;
const mibPerSecond = 25;

const { signal } = new AbortController();
const none: ObjectCacheSettings = { memoryMb: 0, redis: '', redisCredentialsFile: '', http: '' };
const serverId = 'a'.repeat(20);
const key = randomBytes(32);

/**
 * Each level of the cache of objects, in front of a store with latency: what a create from a template in the store and a
 * resume on another host read, which is a parcel from its first to its last chunk, and single objects in jumps.
 */
export const cache: Measurement = {
  name: 'cache',
  async *run(lab) {
    const rounds = Math.max(5, Math.round(lab.rounds / 10));
    const where = `store with ${latencyMs} ms and ${mibPerSecond} MiB/s for each connection`;
    if (!hasValkey || !hasNginx) {
      yield { what: 'cache of objects', skipped: 'valkey-server and nginx are not installed' };
      return;
    }
    const folder = await mkdtemp(join(tmpdir(), 'soulbox-bench-cache-'));
    await using open = new AsyncDisposableStack();
    open.defer(async () => await removeTree(folder));
    // The process of the object store has a user of its own.
    await chmod(folder, 0o711);
    const credentialsFile = join(folder, 'credentials');
    await writeFile(credentialsFile, '{"accessKeyId":"a","secretAccessKey":"b"}', { mode: 0o600 });
    const store = open.use(await startChild('slow-s3.ts', [String(latencyMs), String(mibPerSecond)]));
    const storeUrl = `http://127.0.0.1:${store.line}`;
    const valkey = open.use(await startValkey(['--maxmemory', '1gb', '--maxmemory-policy', 'allkeys-lru']));
    const nginx = open.use(await startNginx(storeUrl));
    const url = `s3://bucket?region=us-east-1&endpoint=${storeUrl}`;
    let count = 0;
    /** A host with an empty memory. */
    const startHost = async (settings: Partial<ObjectCacheSettings>): Promise<Host> => {
      const path = join(folder, `s${count++}`);
      const child = await startChild('object-process.ts', [
        url,
        credentialsFile,
        path,
        JSON.stringify({ ...none, ...settings }),
      ]);
      // Its connection to Redis is made in the background.
      if (settings.redis !== undefined) await sleep(100);
      return { access: socketAccess(path), [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
    };
    lab.progress(`parcels of ${parcelMib} MiB, ${rounds} rounds`);
    await using writer = await startHost({});
    const writeParcel = async (): Promise<string> => {
      const name = `templates/t${count++}`;
      const parcels = createParcels(sealedObjects(writer.access, serverId), key);
      await parcels.put(name, once(randomBytes(parcelMib * mib)), { signal });
      return name;
    };
    const samples = new Map<string, number[]>();
    const measure = async (what: string, host: Host, name: string): Promise<void> => {
      const ms = await timeMs(() => readParcel(host, name));
      samples.set(what, [...(samples.get(what) ?? []), parcelMib / (ms / 1000)]);
      // Values are sent to Redis behind the answers.
      await sleep(200);
    };
    // In turns, because a busy machine is not equally busy all the time.
    for (let round = 0; round < rounds; round++) {
      const name = await writeParcel();
      {
        await using host = await startHost({});
        await measure('no cache', host, name);
      }
      {
        await using host = await startHost({ memoryMb: 256 });
        await measure('memory, not read before', host, name);
        await measure('memory, read before', host, name);
      }
      for (const what of ['not read before', 'read by one host before', 'read by two hosts before']) {
        await using host = await startHost({ redis: valkey.url });
        await measure(`Redis, ${what}`, host, name);
      }
      for (const what of ['not read before', 'read by one host before']) {
        await using host = await startHost({ http: nginx.url });
        await measure(`HTTP, ${what}`, host, name);
      }
    }
    for (const [what, of] of samples)
      yield { what: `parcel of ${parcelMib} MiB, ${what}`, unit: 'MiB/s', samples: of, note: where };
    yield* measureJumps({ startHost, writer, rounds, redis: valkey.url, note: where });
    // A place of its own: a recovery must find one server.
    const ofHosts = `s3://bucket/hosts?region=us-east-1&endpoint=${storeUrl}`;
    yield* measureHosts(lab, {
      ...{ storeUrl: ofHosts, credentialsFile, redis: valkey.url, http: nginx.url, note: where },
    });
  },
};

interface Host extends AsyncDisposable {
  readonly access: ObjectAccess;
}

interface JumpOptions {
  readonly startHost: (settings: Partial<ObjectCacheSettings>) => Promise<Host>;
  readonly writer: Host;
  readonly rounds: number;
  readonly redis: string;
  readonly note: string;
}

const jumpCount = 16;
const jumpMib = 1;
/** A run ends 10 s after its last read, and is saved within 5 s. */
const savedMs = 16_000;

/** A reader that jumps, as one that loads memory when it is needed, and waits for each chunk. */
async function* measureJumps({ startHost, writer, rounds, redis, note }: JumpOptions): AsyncGenerator<Figure> {
  const plans = [
    { what: 'no cache', settings: {}, isRecorded: false },
    { what: 'memory', settings: { memoryMb: 256 }, isRecorded: false },
    { what: 'memory and the order of the last start', settings: { memoryMb: 256, redis }, isRecorded: true },
  ] as const;
  const contents = await Promise.all(plans.map(async () => await writeContents(writer, rounds)));
  for (const [at, { settings, isRecorded }] of plans.entries()) {
    if (!isRecorded) continue;
    await using before = await startHost(settings);
    for (const keys of contents[at] ?? []) await readInOrder(before, keys);
    await sleep(savedMs);
  }
  const samples = plans.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [at, { settings }] of plans.entries()) {
      const keys = contents[at]?.[round] ?? [];
      await using host = await startHost(settings);
      samples[at]?.push((await timeMs(() => readInOrder(host, keys))) / keys.length);
    }
  }
  for (const [at, { what }] of plans.entries())
    yield { what: `object of ${jumpMib} MiB, in jumps, ${what}`, unit: 'ms', samples: samples[at] ?? [], note };
}

async function writeContents(writer: Host, count: number): Promise<(readonly string[])[]> {
  return await Promise.all(Array.from({ length: count }, async () => await writeChunks(writer)));
}

/** Returns their keys, in the order of the reads. */
async function writeChunks({ access }: Host): Promise<readonly string[]> {
  const folder = `servers/${serverId}/data/states/s/${randomBytes(16).toString('hex')}`;
  const bytes = randomBytes(jumpMib * mib);
  const keys = Array.from(
    { length: jumpCount },
    (_, at) => `${folder}/${String((at * 5) % jumpCount).padStart(6, '0')}`,
  );
  for (const each of keys) await access.put(each, bytes, signal);
  return keys;
}

async function readInOrder({ access }: Host, keys: readonly string[]): Promise<void> {
  for (const each of keys)
    if ((await access.get(each, signal))?.bytes.length !== jumpMib * mib) throw new Error('A chunk was not read.');
}

async function readParcel({ access }: Host, name: string): Promise<void> {
  const parcel = await createParcels(sealedObjects(access, serverId), key).open(name, signal);
  let received = 0;
  for await (const chunk of parcel?.content() ?? []) received += chunk.length;
  if (received !== parcelMib * mib) throw new Error(`${received} bytes were read.`);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}
