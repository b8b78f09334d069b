import { openDiskReserve } from '@soulbox/storage';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SoulBoxError } from '@soulbox/base';
import { openTestSeal } from '../testing/test-keys.ts';
import { createRecordStore, tenantSchema } from './record.ts';
import type { HostRecord } from './record.ts';

const record: HostRecord = {
  formatVersion: 2,
  sandboxId: 'iabc',
  state: 'warm',
  cause: 'request',
  stateSinceMs: 5,
  slot: 3,
  templateId: 'tttt',
  driver: 'gvisor',
  runtimeName: 'x',
  hostToken: 'secret',
  generation: 'g1',
  cpuCount: 2,
  memoryMb: 512,
  diskMb: 1024,
  layers: ['l2', 'l1'],
  disk: 'kept',
  ground: '5:7',
  pagesFrom: '',
  waitsForRoom: false,
  volumes: [],
};

describe('sandbox records on disk', () => {
  let directory = '';
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'soulbox-records-'));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  it('are read as they were written, and only their owner can read the files', async () => {
    const store = createRecordStore(directory, openDiskReserve(join(directory, 'reserve')), openTestSeal());
    await store.write(record);
    expect(await store.load()).toEqual({ records: [record], unreadable: [], strays: [] });
    expect((await stat(join(directory, 'iabc.json'))).mode & 0o777).toBe(0o600);
  });

  it('of the first version, which knew neither drivers nor checkpoints, can still be read', async () => {
    const store = createRecordStore(directory, openDiskReserve(join(directory, 'reserve')), openTestSeal());
    const { sandboxId, slot, templateId, hostToken, cpuCount, memoryMb, diskMb } = record;
    const limits = { cpuCount, memoryMb, diskMb };
    const old = {
      formatVersion: 1,
      sandboxId,
      state: 'warm',
      slot,
      templateId,
      runtimeDirectory: '/old/data/runtime/x',
      hostToken,
      ...limits,
    };
    await writeFile(join(directory, 'iabc.json'), JSON.stringify(old));
    const { runtimeDirectory, ...same } = old;
    const now = { formatVersion: 2, runtimeName: 'x', driver: 'container', layers: [], disk: 'kept', ground: '' };
    expect((await store.load()).records).toMatchObject([{ ...same, ...now }]);
    expect((await store.load()).records[0]).not.toHaveProperty('runtimeDirectory', runtimeDirectory);
  });

  it('of a tenant whose key was not recorded yet can still be read', async () => {
    const store = createRecordStore(directory, openDiskReserve(join(directory, 'reserve')), openTestSeal());
    const tenant = {
      ...{
        teamId: 't',
        alias: '',
        startedAtMs: 1,
        endAtMs: 2,
        metadata: {},
        envdAccessToken: '',
        trafficAccessToken: '',
      },
      network: { allowOut: [], denyOut: [], maskRequestHost: '' },
    };
    await writeFile(join(directory, 'iabc.json'), JSON.stringify({ ...record, state: 'paused', tenant }));
    expect((await store.load()).records[0]?.tenant).toMatchObject({ teamId: 't', keyId: '', creationId: '' });
  });

  it('are encrypted, also those that an older version left readable', async () => {
    const store = createRecordStore(directory, openDiskReserve(join(directory, 'reserve')), openTestSeal());
    const file = join(directory, 'iabc.json');
    await store.write(record);
    expect(await readFile(file, 'utf8')).not.toContain(record.hostToken);
    await writeFile(file, JSON.stringify(record));
    expect((await store.load()).records).toEqual([record]);
    const text = await readFile(file, 'utf8');
    expect(text).not.toContain(record.hostToken);
    expect(JSON.parse(text)).toMatchObject({ formatVersion: 3, sandboxId: 'iabc', templateId: 'tttt' });
    expect((await store.load()).records).toEqual([record]);
  });

  it('show neither the headers of rules nor passwords of proxies nor the key of the sandbox CA', async () => {
    const store = createRecordStore(directory, openDiskReserve(join(directory, 'reserve')), openTestSeal());
    const secrets = [
      'value-of-a-header',
      'password-of-a-proxy',
      'key-of-the-authority',
      'value-of-a-variable',
    ] as const;
    const [header, password, privateKey, variable] = secrets;
    const tenant = tenantSchema.parse({
      ...{ teamId: 't', alias: '', startedAtMs: 1, endAtMs: 2, metadata: {} },
      ...{ envdAccessToken: 'token-of-envd', trafficAccessToken: 'token-of-traffic' },
      network: {
        ...{ allowOut: [], denyOut: [], maskRequestHost: '' },
        rules: { 'a.test': { headers: { 'x-api-key': header }, requests: [] } },
        egressProxy: { address: 'proxy.test:1080', username: 'u', password },
      },
      authority: { certificate: 'certificate', privateKey },
      settings: { envVars: { KEY: variable }, defaultUser: 'root', defaultWorkdir: '/' },
    });
    await store.write({ ...record, tenant });
    expect((await store.load()).records).toEqual([{ ...record, tenant }]);
    const file: unknown = JSON.parse(await readFile(join(directory, 'iabc.json'), 'utf8'));
    // Everything else is in `sealed`, in base64 of what is encrypted.
    expect(file).toEqual({
      ...{ formatVersion: 3, sandboxId: 'iabc', state: 'warm', templateId: 'tttt', runtimeName: 'x', tenant: {} },
      sealed: expect.any(String) as string,
    });
    const sealed = JSON.stringify(file);
    for (const form of secrets.flatMap((secret) => [secret, Buffer.from(secret).toString('base64url').slice(0, -2)]))
      expect(sealed).not.toContain(form);
  });

  it('of another sandbox are unreadable under this name, like altered ones', async () => {
    const store = createRecordStore(directory, openDiskReserve(join(directory, 'reserve')), openTestSeal());
    await store.write(record);
    await store.write({ ...record, sandboxId: 'iother' });
    const text = await readFile(join(directory, 'iother.json'), 'utf8');
    await writeFile(join(directory, 'iabc.json'), text.replace('iother', 'iabc'));
    expect(await store.load()).toMatchObject({ records: [{ sandboxId: 'iother' }], unreadable: ['iabc'] });
    const altered = text.replace(/"sealed":"(.)/, (_, first: string) => `"sealed":"${first === 'a' ? 'b' : 'a'}`);
    await writeFile(join(directory, 'iother.json'), altered);
    expect((await store.load()).unreadable.toSorted()).toEqual(['iabc', 'iother']);
  });

  it('are left alone when their key is missing: the load fails', async () => {
    await createRecordStore(directory, openDiskReserve(join(directory, 'reserve')), openTestSeal()).write(record);
    const lost = new SoulBoxError('master_key_missing', 'It is missing.');
    const seal = { ...openTestSeal(), open: () => Promise.reject(lost) };
    const store = createRecordStore(directory, openDiskReserve(join(directory, 'reserve')), seal);
    await expect(store.load()).rejects.toBe(lost);
    expect(await readdir(directory)).toEqual(['iabc.json']);
  });

  it('are loaded with the names of unreadable records and of folders without a record', async () => {
    const store = createRecordStore(directory, openDiskReserve(join(directory, 'reserve')), openTestSeal());
    await store.write(record);
    await mkdir(store.directoryOf('iabc'));
    await mkdir(store.directoryOf('ilost'));
    await writeFile(join(directory, 'itorn.json'), '{"formatVersion":1,');
    await writeFile(join(directory, 'iother.json'), JSON.stringify({ ...record, slot: 'none' }));
    await mkdir(store.directoryOf('itorn'));
    const { records, unreadable, strays } = await store.load();
    expect(records).toEqual([record]);
    expect(unreadable.toSorted()).toEqual(['iother', 'itorn']);
    expect(strays).toEqual(['ilost']);
  });

  it('are set aside with their folder, and do not replace what was set aside before', async () => {
    const sandboxes = join(directory, 'sandboxes');
    const store = createRecordStore(sandboxes, openDiskReserve(join(directory, 'reserve')), openTestSeal());
    for (const content of ['first', 'second']) {
      await mkdir(store.directoryOf('itorn'), { recursive: true });
      await writeFile(join(store.directoryOf('itorn'), 'disk'), content);
      await writeFile(`${store.directoryOf('itorn')}.json`, content);
      await store.setAside('itorn');
    }
    expect(await readdir(sandboxes)).toEqual([]);
    const aside = `${sandboxes}-unreadable`;
    const names = (await readdir(aside)).map((name) => name.replace(/[.][a-z0-9]{6}$/, '.again'));
    expect(names.toSorted()).toEqual(['itorn', 'itorn.again', 'itorn.json', 'itorn.json.again']);
    expect(await readFile(join(aside, 'itorn/disk'), 'utf8')).toBe('first');
    expect(await store.hasSetAside()).toBe(true);
  });

  it('with volumes or buckets are of versions that servers without them refuse', async () => {
    const seal = openTestSeal();
    const store = createRecordStore(directory, openDiskReserve(join(directory, 'reserve')), seal);
    const limits = { isReadOnly: true, sizeBytes: 1, teamBytes: 2, isBucket: false, prefix: '' };
    const volume = { teamId: 't', groupId: 'g', volumeId: 'v', name: 'n', path: '/data', ...limits };
    const withVolume = { ...record, volumes: [volume] };
    await store.write(withVolume);
    expect((await store.load()).records).toEqual([withVolume]);
    const versionOf = async (one: HostRecord): Promise<unknown> =>
      ((await seal.open('sandbox', one.sandboxId, JSON.parse(await store.textOf(one)))) as HostRecord).formatVersion;
    const bucket = { ...volume, path: '/bucket', isBucket: true, prefix: 'a/' };
    const withBucket = { ...record, volumes: [volume, bucket] };
    expect(await Promise.all([record, withVolume, withBucket].map(versionOf))).toEqual([2, 3, 4]);
    await store.write(withBucket);
    expect((await store.load()).records).toEqual([withBucket]);
    // Of a server that knows no buckets.
    const { isBucket: _isBucket, prefix: _prefix, ...old } = volume;
    await writeFile(
      join(directory, `${record.sandboxId}.json`),
      JSON.stringify({ ...record, volumes: [old], formatVersion: 3 }),
    );
    expect((await store.load()).records).toEqual([withVolume]);
  });

  it('of a newer version are refused, not treated as strays', async () => {
    const store = createRecordStore(directory, openDiskReserve(join(directory, 'reserve')), openTestSeal());
    await writeFile(join(directory, 'iother.json'), JSON.stringify({ ...record, formatVersion: 5 }));
    await expect(store.load()).rejects.toMatchObject({ reason: 'config_invalid' });
    expect(await readdir(directory)).toContain('iother.json');
  });

  it('are loaded without temporary files of a killed writer, which are removed', async () => {
    const store = createRecordStore(directory, openDiskReserve(join(directory, 'reserve')), openTestSeal());
    await writeFile(join(directory, 'iabc.json.12.34.tmp'), 'half');
    await store.load();
    expect(await readdir(directory)).toEqual([]);
  });

  it('can be removed twice', async () => {
    const store = createRecordStore(directory, openDiskReserve(join(directory, 'reserve')), openTestSeal());
    await store.write(record);
    await store.remove('iabc');
    await store.remove('iabc');
    expect(await store.load()).toEqual({ records: [], unreadable: [], strays: [] });
  });
});
