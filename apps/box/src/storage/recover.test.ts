/** @module-tag violation */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree, SoulBoxError } from '@soulbox/base';
import { ensureDefaultTeam, openDiskBlobs, openSqliteRecords } from '@soulbox/storage';
import { openObjectStore } from '@soulbox/storage/objects';
import type { ObjectStore } from '@soulbox/storage/objects';
import { claimOwner, createBlobPacks, createParcels, directAccess, keyOfRole, sealedObjects } from '@soulbox/vault';
import type { Parcels, SealedObjects } from '@soulbox/vault';
import type { StoredRecord } from '@soulbox/vault/stored';
import { packTree } from '@soulbox/vault/tar';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { recoverFromStore } from './recover.ts';
import type { Recovered } from './recover.ts';

const { signal } = new AbortController();
const storageKey = randomBytes(32);
const [runner, control, owner] = (['runner', 'control', 'owner'] as const).map((role) =>
  keyOfRole(storageKey, role),
) as [Buffer, Buffer, Buffer];
const serverId = 'a'.repeat(20);
let folder: string;
let store: ObjectStore;
let objects: SealedObjects;
let parcels: Parcels;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'recover-'));
  store = await openObjectStore(`file://${folder}/store`);
  objects = sealedObjects(directAccess(store), serverId);
  parcels = createParcels(objects, runner);
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await removeTree(folder);
});

const target = (): string => join(folder, 'data');
const recover = async (more: Partial<Parameters<typeof recoverFromStore>[0]> = {}): Promise<Recovered> =>
  await recoverFromStore({
    ...{ store, storageKey, serverId: undefined, dataDirectory: target() },
    ...{ templatesDirectory: join(target(), 'templates'), onStep: () => undefined, all: true, signal },
    ...more,
  });

async function putTree(name: string, into: '.' | 'templates' | 'runtime', path: string): Promise<void> {
  const from = await mkdtemp(join(folder, 'tree-'));
  await mkdir(join(from, path, '..'), { recursive: true });
  await writeFile(join(from, path), `content of ${name}`);
  const tree = packTree({ directory: from, names: [path.split('/')[0] ?? ''] }, { signal, compresses: false });
  await parcels.put(name, tree, { signal, about: { into, compresses: false } });
}

async function putRecord(what: 'sandbox' | 'snapshot', id: string, names: string[], savedAtMs = 1): Promise<void> {
  const record: StoredRecord = {
    format: 1,
    what,
    id,
    stateId: 's',
    savedAtMs,
    text: `record ${id} ${savedAtMs}`,
    parcels: names,
  };
  const name = `records/${what}/${id}.s.${String(savedAtMs).padStart(16, '0')}`;
  await objects.put(name, Buffer.from(JSON.stringify(record)), { key: runner, signal });
}

/** The records with a sandbox that ran, one that slept, and others that the test names. */
async function putControl(
  number: number,
  ids: Readonly<Record<string, 'running' | 'paused'>>,
  volumes: Readonly<Record<string, boolean>> = {},
): Promise<void> {
  const path = join(folder, `records-${number}.sqlite`);
  {
    await using records = openSqliteRecords(path);
    const team = await ensureDefaultTeam(records);
    for (const [id, state] of Object.entries(ids)) await records.sandboxes.put(factsOf(id, team.id, state), 1);
    for (const [id, isUsed] of Object.entries(volumes)) {
      const none = { sizeMb: undefined, sourceId: undefined, isReadOnly: false, creationId: '' };
      await records.volumes.create({ id, teamId: team.id, groupId: id, name: id, createdAt: 1, isUsed, ...none }, 9);
    }
  }
  const files = { 'records.sqlite': await readFile(path), 'secrets/master-key': Buffer.from('the master key') };
  const about = {
    format: 1,
    files: Object.entries(files).map(([name, { length }]) => ({ path: name, sizeBytes: length })),
  };
  async function* content(): AsyncGenerator<Buffer> {
    for (const bytes of Object.values(files)) yield await Promise.resolve(bytes);
  }
  const name = `control/${String(number).padStart(12, '0')}`;
  await createParcels(objects, control).put(name, content(), { signal, about });
}

const factsOf = (id: string, teamId: string, state: 'running' | 'paused') => ({
  ...{ id, teamId, templateId: 't', alias: '', metadata: {}, startedAt: 1, endAt: 2, cpuCount: 1, memoryMb: 1 },
  ...{ diskSizeMb: 1, envdVersion: '', volumes: [], isolation: '', createdBy: '', creationId: '', state },
  network: {
    allowInternetAccess: true,
    allowOut: [],
    denyOut: [],
    allowPublicTraffic: true,
    maskRequestHost: undefined,
  },
  lifecycle: { autoResume: false, onTimeout: 'kill' as const, idleTimeoutSeconds: 0 },
  ...{ cause: 'request' as const, stateSince: 1 },
});

async function fill(): Promise<void> {
  await claimOwner(objects, { nonce: 'first', earlier: [] }, { key: owner, signal });
  const keys = JSON.stringify({ format: 1, masterKeys: [], dataKeys: [] });
  const files = { format: 1, cpuType: '', files: { 'runner-keys.json': keys, 'tls/ca.crt': 'the certificate' } };
  await objects.put('files', Buffer.from(JSON.stringify(files)), { key: runner, signal });
  await putControl(1, { one: 'paused', two: 'paused' });
  await putControl(2, { one: 'paused', two: 'paused', ran: 'running', late: 'paused' });
  await putTree('templates/t', 'templates', 't/rootfs');
  await putTree('runtimes/r', 'runtime', 'r/envd');
  await putTree('layers/l', '.', 'layers/l.img');
  for (const id of ['one', 'two']) await putTree(`disks/${id}.s`, '.', `sandboxes/${id}/disk.img`);
  await putRecord('sandbox', 'one', ['templates/t', 'runtimes/r', 'layers/l', 'disks/one.s'], 1);
  await putRecord('sandbox', 'one', ['templates/t', 'runtimes/r', 'layers/l', 'disks/one.s'], 2);
  await putRecord('sandbox', 'two', ['templates/t', 'runtimes/r', 'disks/two.s']);
  await putRecord('snapshot', 'snap', ['layers/l']);
}

const read = async (name: string): Promise<string> => await readFile(join(target(), name), 'utf8');

test('everything is at its place, and what is lost is named with the reason', async () => {
  await fill();
  expect(await recover()).toMatchObject({
    ...{ serverId, sandboxes: 2, snapshots: 1 },
    lost: [
      { what: 'sandbox', id: 'late', reason: 'Its upload had not finished.' },
      { what: 'sandbox', id: 'ran', reason: expect.stringContaining('running') as string },
    ],
  });
  expect(await read('sandboxes/one.json')).toBe('record one 2');
  expect(await read('sandboxes/one/disk.img')).toBe('content of disks/one.s');
  expect(await read('templates/t/rootfs')).toBe('content of templates/t');
  expect(await read('runtime/r/envd')).toBe('content of runtimes/r');
  expect(await read('layers/l.img')).toBe('content of layers/l');
  expect(await read('secrets/master-key')).toBe('the master key');
  expect(await read('tls/ca.crt')).toBe('the certificate');
  expect(JSON.parse(await read('storage.json'))).toEqual({ format: 1, serverId, nonces: ['first'] });
  for (const name of ['secrets/master-key', 'runner-keys.json', 'sandboxes/one.json', 'records.sqlite'])
    expect((await stat(join(target(), name))).mode & 0o077, name).toBe(0);
  expect((await readdir(target())).filter((name) => name.startsWith('.') || name.includes('incomplete'))).toEqual([]);
});

test('without `all` only records, keys and templates are fetched, and a record whose parts are missing is lost', async () => {
  await fill();
  await parcels.remove('disks/two.s', signal);
  expect(await recover({ all: false })).toMatchObject({
    ...{ serverId, sandboxes: 1, snapshots: 1 },
    lost: [
      { what: 'sandbox', id: 'two', reason: 'disks/two.s is not in the store any more.' },
      { what: 'sandbox', id: 'late' },
      { what: 'sandbox', id: 'ran' },
    ],
  });
  expect(await read('sandboxes/one.json')).toBe('record one 2');
  expect(await readdir(join(target(), 'sandboxes'))).toEqual(['one.json']);
  expect(await read('templates/t/rootfs')).toBe('content of templates/t');
  for (const name of ['runtime', 'layers']) expect(await readdir(join(target(), name)), name).toEqual([]);
});

test('cached dependencies are fetched with `all`, and otherwise left to the server', async () => {
  await fill();
  const blobs = await openDiskBlobs({ directory: join(folder, 'dependencies') });
  await blobs.put('team/a', [Buffer.from('encrypted')] as never);
  await createBlobPacks(parcels, 'dependencies', { sources: [{ store: 'dependencies', blobs }] }).sync(signal);
  await recover({ all: false });
  expect(await read('dependencies-in-store')).toBe('');
  expect(await readdir(target())).not.toContain('dependencies');
  await removeTree(target());
  await recover();
  expect(await read('dependencies/team~a')).toBe('encrypted');
  expect(await readdir(target())).not.toContain('dependencies-in-store');
});

test('what is missing or damaged is the loss of those that need it, and of no others', async () => {
  await fill();
  await parcels.remove('disks/two.s', signal);
  const snap = `servers/${serverId}/records/snapshot/snap.s.0000000000000001`;
  await store.put(snap, Buffer.alloc(100));
  const recovered = await recover();
  expect(recovered).toMatchObject({ sandboxes: 1, snapshots: 0 });
  expect(recovered.lost).toContainEqual({
    what: 'sandbox',
    id: 'two',
    reason: 'disks/two.s is not in the store any more.',
  });
  expect(recovered.lost).toContainEqual({
    what: 'snapshot',
    id: 'snap',
    reason: expect.stringContaining('was cut') as string,
  });
  expect(await readdir(join(target(), 'sandboxes'))).toEqual(['one', 'one.json']);
});

test('a volume of which nothing was uploaded is lost only if it was used', async () => {
  await fill();
  await putControl(3, { one: 'paused', two: 'paused' }, { used: true, unused: false });
  expect((await recover()).lost).toEqual([
    { what: 'volume', id: 'used', reason: expect.stringContaining('Nothing of it was uploaded') as string },
  ]);
});

test('a chunk that was changed leaves nothing of its parcel', async () => {
  await fill();
  const { objects: chunks } = await store.list({ prefix: `servers/${serverId}/data/layers/` });
  await store.put(chunks[0]?.key ?? '', randomBytes(20_000));
  expect(await recover()).toMatchObject({ sandboxes: 1, snapshots: 0 });
  expect(await readdir(join(target(), 'layers'))).toEqual([]);
});

test('an older copy of the records takes the place of a damaged one', async () => {
  await fill();
  await store.put(`servers/${serverId}/index/control/000000000002`, randomBytes(100));
  expect(await recover()).toMatchObject({ sandboxes: 2, lost: [] });
});

test('a template that is on this host already is not replaced', async () => {
  await fill();
  const templatesDirectory = join(folder, 'shared');
  await mkdir(join(templatesDirectory, 't'), { recursive: true });
  expect(await recover({ templatesDirectory })).toMatchObject({ sandboxes: 2 });
  expect(await readdir(join(templatesDirectory, 't'))).toEqual([]);
});

test('of several servers one must be chosen', async () => {
  await fill();
  const other = 'b'.repeat(20);
  await claimOwner(sealedObjects(directAccess(store), other), { nonce: 'x', earlier: [] }, { key: owner, signal });
  await expect(recover()).rejects.toMatchObject({
    reason: 'bad_request',
    message: expect.stringContaining(other) as string,
  });
  expect(await recover({ serverId })).toMatchObject({ sandboxes: 2 });
});

test.each([
  ['the wrong key', { storageKey: randomBytes(32) }, 'storage_damaged'],
  ['an unknown server', { serverId: 'c'.repeat(20) }, 'storage_not_found'],
  ['an id that is none', { serverId: '../x' }, 'bad_request'],
])('%s leaves no data folder', async (_what, more, reason) => {
  await fill();
  await expect(recover(more)).rejects.toMatchObject({ reason });
  expect(await readdir(target())).toEqual([]);
});

test('a store that fails in the middle leaves no data folder, and the recovery can be repeated', async () => {
  await fill();
  const get: ObjectStore['get'] = async (key, options) => {
    if (key.includes('/data/disks/two'))
      throw new SoulBoxError('storage_access_denied', 'The credentials have expired.');
    return await store.get(key, options);
  };
  await expect(recover({ store: { ...store, get } })).rejects.toMatchObject({ reason: 'storage_access_denied' });
  expect(await readdir(target())).toEqual([]);
  expect(await recover()).toMatchObject({ sandboxes: 2 });
});

test('a folder that is not empty, a store without servers, and a server without records are refused', async () => {
  await expect(recover()).rejects.toMatchObject({ reason: 'storage_not_found' });
  await claimOwner(objects, { nonce: 'first', earlier: [] }, { key: owner, signal });
  await expect(recover()).rejects.toThrow('before it had uploaded its keys');
  await fill();
  await writeFile(join(target(), 'file'), '');
  await expect(recover()).rejects.toMatchObject({ reason: 'bad_path' });
  await rm(join(target(), 'file'));
  expect(await recover()).toMatchObject({ sandboxes: 2 });
});
