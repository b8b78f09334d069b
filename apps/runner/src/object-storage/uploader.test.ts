import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import { createParcels, sealedObjects } from '@soulbox/vault';
import { unpackFlat } from '@soulbox/vault/flat';
import { aboutParcelSchema, storedRecordSchema } from '@soulbox/vault/stored';
import type { StoredRecord } from '@soulbox/vault/stored';
import { unpackTree } from '@soulbox/vault/tar';
import { memoryAccess } from '@soulbox/vault/testing';
import type { MemoryAccess } from '@soulbox/vault/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { endSandbox } from '../operations/end.ts';
import { deleteSnapshot, makeSnapshot } from '../operations/copies/snapshot.ts';
import { pauseSandbox } from '../operations/pause/pause.ts';
import { resumeSandbox } from '../operations/resume/resume.ts';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';
import type { StoreSettings } from './store-state.ts';
import { startUploader } from './uploader.ts';
import type { UploadContext, Uploader } from './uploader.ts';

const serverId = 'a'.repeat(20);
const keys = { runner: randomBytes(32), owner: randomBytes(32) };
const limits = { evictMs: 10, atOnce: 2, settleMs: 1, lookMs: 20, awayMs: 10, awayMaxMs: 20, orphanMs: 0 };
const { signal } = new AbortController();

let bench: OperationBench;
let folder: string;
let access: MemoryAccess;
let context: UploadContext;
let uploader: Uploader;
let starts: string[];
let eviction: StoreSettings['eviction'];
beforeEach(async () => {
  bench = await createOperationBench();
  folder = await mkdtemp(join(tmpdir(), 'uploader-'));
  access = memoryAccess();
  starts = [];
  eviction = { localBytes: undefined };
  const { host } = bench.context;
  // The bench's template and envd are its data folder.
  const name = host.envdBundle.directory.split('/').at(-1) ?? '';
  for (const path of [`runtimes/${name}`, 'template/rootfs']) await mkdir(join(folder, path), { recursive: true });
  await writeFile(join(folder, 'template', 'rootfs', 'file'), 'of the template');
  const templates = {
    find: async (id: string) =>
      await Promise.resolve(id === 'base' ? { rootfs: join(folder, 'template/rootfs') } : undefined),
  };
  context = {
    ...bench.context,
    host: { ...host, envdBundle: { ...host.envdBundle, directory: join(folder, 'runtimes', name) } },
    templates: templates as unknown as UploadContext['templates'],
  };
  uploader = start();
});
afterEach(async () => {
  await uploader[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** As a new process on the same data folder. */
function start(): Uploader {
  const nonce = String(starts.length);
  const owner = { nonce, earlier: [...starts] };
  starts.push(nonce);
  return startUploader(context, access, { serverId, owner, keys, eviction }, limits);
}

const objectsLike = (part: string): string[] => [...access.objects.keys()].filter((name) => name.includes(part));
const untilIdle = async (): Promise<void> =>
  await expect
    .poll(() => [uploader.figures().state, uploader.figures().notUploaded], { timeout: 10_000 })
    .toEqual(['idle', []]);

async function addPaused(): Promise<string> {
  const { sandboxId } = (await bench.addRunning()).record;
  await pause(sandboxId);
  return sandboxId;
}
const pause = async (sandboxId: string): Promise<void> => {
  await pauseSandbox(bench.context, sandboxId, { keepMemory: true, durability: 'on-return', cause: 'request' });
};
const resume = async (sandboxId: string): Promise<void> => {
  await resumeSandbox(bench.context, sandboxId, { timeoutSeconds: 60, withMemory: true, cause: 'request' });
};

async function readRecords(): Promise<StoredRecord[]> {
  const objects = sealedObjects(access, serverId);
  const found: StoredRecord[] = [];
  for await (const { key } of objects.list('records/', signal)) {
    const record = await objects.get(key, { key: keys.runner, signal });
    found.push(storedRecordSchema.parse(JSON.parse(record?.plain.toString() ?? '')));
  }
  return found;
}

test('a paused sandbox is uploaded with all that it needs, and the parcels have its files', async () => {
  const sandboxId = await addPaused();
  await untilIdle();
  const [record] = await readRecords();
  const saved = bench.context.table.getTenants(sandboxId).record.saved;
  expect(record).toMatchObject({ what: 'sandbox', id: sandboxId, stateId: saved?.stateId });
  expect(JSON.parse(record?.text ?? '')).toMatchObject({
    sandboxId,
    state: 'paused',
    sealed: expect.any(String) as string,
  });
  const parcels = createParcels(sealedObjects(access, serverId), keys.runner);
  expect(record?.parcels).toContain(`disks/${sandboxId}.${saved?.stateId ?? ''}`);
  for (const name of record?.parcels ?? []) {
    const parcel = await parcels.open(name, signal);
    const { compresses, headBytes } = aboutParcelSchema.parse(parcel?.about);
    expect(compresses).toBe(!name.startsWith('states/'));
    await mkdir(join(folder, 'target'), { recursive: true });
    if (parcel === undefined) throw new Error(`${name} is missing`);
    if (headBytes === undefined) await unpackTree(join(folder, 'target'), parcel.content(), { signal, compresses });
    else await unpackFlat(join(folder, 'target'), headBytes, parcel.content());
  }
  const manifest = join('states', saved?.stateId ?? '', 'manifest.json');
  expect(await readFile(join(folder, 'target', manifest))).toEqual(
    await readFile(join(bench.context.host.dataDirectory, manifest)),
  );
  expect(await readFile(join(folder, 'target/template/rootfs/file'), 'utf8')).toBe('of the template');
});

test('what a sandbox that runs again had in the store is removed, and the next pause is uploaded', async () => {
  const sandboxId = await addPaused();
  await untilIdle();
  const before = objectsLike('/states/');
  await resume(sandboxId);
  await expect
    .poll(() => [...objectsLike('/records/'), ...objectsLike('/states/'), ...objectsLike('/disks/')])
    .toEqual([]);
  // The next sandbox needs it.
  expect(objectsLike('/templates/')).not.toEqual([]);
  await pause(sandboxId);
  await untilIdle();
  expect(objectsLike('/records/')).toHaveLength(1);
  expect(objectsLike('/states/')).not.toEqual(before);
});

test('memory that a sandbox still runs from stays in the store, and its record does not', async () => {
  const sandboxId = await addPaused();
  await untilIdle();
  const { stateId = '' } = bench.context.table.getTenants(sandboxId).record.saved ?? {};
  const hold = bench.context.references.hold({ checkpoints: [stateId] });
  await resume(sandboxId);
  await expect.poll(() => objectsLike('/records/')).toEqual([]);
  await new Promise((done) => setTimeout(done, 100));
  expect(objectsLike(`/index/states/${stateId}`)).toHaveLength(1);
  hold[Symbol.dispose]();
  await expect.poll(() => objectsLike('/states/')).toEqual([]);
});

test('a snapshot is uploaded and stays when its source ends; a deleted one is removed', async () => {
  const sandboxId = await addPaused();
  await makeSnapshot(bench.context, sandboxId, 'kept');
  await untilIdle();
  expect(objectsLike('/records/')).toHaveLength(2);
  await endSandbox(bench.context, sandboxId, 'killed');
  await expect.poll(() => objectsLike('/records/')).toEqual([expect.stringContaining('/records/snapshot/kept.')]);
  expect(objectsLike('/index/states/')).toHaveLength(1);
  await deleteSnapshot(bench.context, 'kept');
  await expect
    .poll(() => [...objectsLike('/records/'), ...objectsLike('/index/states/'), ...objectsLike('/layers/')])
    .toEqual([]);
});

test('a changed record replaces the older one', async () => {
  const sandboxId = await addPaused();
  await untilIdle();
  const [before] = objectsLike('/records/');
  const sandbox = bench.context.table.getTenants(sandboxId);
  await bench.context.table.update(sandbox, { tenant: { ...sandbox.record.tenant, metadata: { now: 'changed' } } });
  await expect.poll(() => objectsLike('/records/').filter((name) => name !== before)).toHaveLength(1);
  await untilIdle();
  expect(objectsLike('/records/')).not.toContain(before);
});

test('a new process uploads what the one before has not, and nothing twice', async () => {
  await addPaused();
  await untilIdle();
  await uploader[Symbol.asyncDispose]();
  const before = new Map(access.objects);
  await addPaused();
  const puts: string[] = [];
  access.fault = (method, name) => {
    if (method === 'put') puts.push(name);
  };
  uploader = start();
  await untilIdle();
  expect(objectsLike('/records/')).toHaveLength(2);
  expect(puts.filter((name) => before.has(name) && !name.endsWith('/owner'))).toEqual([]);
});

test('while the store is away sandboxes pause and resume, and it is caught up with', async () => {
  access.fault = () => {
    throw new SoulBoxError('storage_unavailable', 'The store is away.');
  };
  const [one, other] = [await addPaused(), await addPaused()];
  await resume(one);
  await expect
    .poll(() => uploader.figures())
    .toMatchObject({ state: 'away', reason: 'The store is away.', wanted: 1, uploaded: 0 });
  expect(uploader.figures().notUploaded).toMatchObject([{ what: 'sandbox', id: other, state: 'pending' }]);
  access.fault = () => undefined;
  await untilIdle();
  expect(objectsLike(`/records/sandbox/${other}.`)).toHaveLength(1);
});

test('what cannot be uploaded is named with the reason, and does not hold up others', async () => {
  const sandboxId = await addPaused();
  const { stateId } = bench.context.table.getTenants(sandboxId).record.saved ?? {};
  access.fault = (method, name) => {
    if (method === 'put' && name.includes(`/states/${stateId}`)) throw new SoulBoxError('storage_access_denied', 'No.');
  };
  const other = await addPaused();
  await expect.poll(() => objectsLike(`/records/sandbox/${other}.`), { timeout: 5000 }).toHaveLength(1);
  expect(uploader.figures()).toMatchObject({
    ...{ wanted: 2, uploaded: 1 },
    notUploaded: [{ id: sandboxId, state: 'failed', reason: 'No.' }],
  });
  expect(objectsLike(`/records/sandbox/${sandboxId}.`)).toEqual([]);
});

test('a server whose place another one has taken changes nothing more', async () => {
  await addPaused();
  await untilIdle();
  await uploader[Symbol.asyncDispose]();
  starts = ['of another data folder'];
  uploader = start();
  await expect.poll(() => uploader.figures().state).toBe('refused');
  const before = [...access.objects.keys()];
  await addPaused();
  await new Promise((done) => setTimeout(done, 100));
  expect([...access.objects.keys()]).toEqual(before);
});

test('while a record is unreadable, nothing that may be its own is removed from the store', async () => {
  const sandboxId = await addPaused();
  await untilIdle();
  const before = [...access.objects.keys()];
  await bench.context.host.store.setAside(sandboxId);
  bench.context.table.delete(sandboxId);
  await new Promise((done) => setTimeout(done, 100));
  expect([...access.objects.keys()]).toEqual(before);
});

test('parcels of others stay, also after a restart', async () => {
  const [ofControl, own] = [randomBytes(32), keys.runner].map((key) =>
    createParcels(sealedObjects(access, serverId), key),
  );
  async function* content(): AsyncGenerator<Buffer> {
    yield await Promise.resolve(Buffer.from('of somebody else'));
  }
  for (const name of ['control/000000000001', 'blobs/a']) await ofControl?.put(name, content(), { signal });
  for (const name of ['dependencies/a', 'layers/nobody-needs']) await own?.put(name, content(), { signal });
  await addPaused();
  await untilIdle();
  await uploader[Symbol.asyncDispose]();
  uploader = start();
  await untilIdle();
  await expect.poll(() => objectsLike('/layers/nobody-needs')).toEqual([]);
  for (const name of ['control/000000000001', 'blobs/a', 'dependencies/a'])
    expect(objectsLike(name), name).toHaveLength(2);
});
