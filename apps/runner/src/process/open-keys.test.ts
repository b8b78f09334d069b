import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree, Secret } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openCheckpointStore } from '@soulbox/checkpoints';
import { fileKeyringRecords, fileMasterKeys, openKeyring } from '@soulbox/keyring';
import type { Keyring } from '@soulbox/keyring';
import { openDiskReserve } from '@soulbox/storage';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkpointKeys } from '../processes/checkpoint-keys.ts';
import { createRecordSeal } from '../registry/record-seal.ts';
import { openRunnerKeys } from './open-keys.ts';

let folder: string;
let path: string;
let masterKeyFile: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-runner-keys-'));
  path = join(folder, 'runner-keys.json');
  masterKeyFile = join(folder, 'secrets', 'master-key');
});
afterEach(() => removeTree(folder));

const open = async (): Promise<Keyring> =>
  await openRunnerKeys({
    ...{ path, dataDirectory: folder, sources: [fileMasterKeys(masterKeyFile)] },
    reserve: openDiskReserve(join(folder, 'reserve')),
  });
const place = { table: 'runner', row: 'r', field: 'f', team: '' };

async function writeRecord(kind: 'sandbox' | 'snapshot', directory: string): Promise<void> {
  using keyring = await open();
  await mkdir(join(folder, directory));
  await writeFile(
    join(folder, directory, 'x1.json'),
    await createRecordSeal(keyring).textOf(kind, 'x1', { formatVersion: 2, sandboxId: 'x1' }),
  );
}

async function sealCheckpoint(): Promise<void> {
  using keyring = await open();
  const clearDirectory = join(folder, 'clear');
  await mkdir(clearDirectory);
  await using store = await openCheckpointStore({
    ...{ directory: folder, clearDirectory, logger: silentLogger },
    keys: checkpointKeys(keyring),
  });
  await using draft = await store.begin('c1');
  await draft.seal({
    ...{ createdAtMs: 1, driver: 'container', driverVersion: 'v', hasMemory: false, cpuType: 'c', templateId: 't' },
    ...{ runtimeName: 'r', cpuCount: 1, memoryMb: 1, diskMb: 1, layers: [], tenant: null },
  });
}

/** All files of the folder with their content. */
async function contents(): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  return Object.fromEntries(
    await Promise.all(files.map(async (file) => [file, await readFile(file, 'latin1')] as const)),
  );
}

async function expectRefused(given: object): Promise<void> {
  const before = await contents();
  await expect(open()).rejects.toMatchObject(given);
  expect(await contents()).toEqual(before);
}

test.for([
  ['the record of a sandbox', 'sandboxes/x1.json', async () => await writeRecord('sandbox', 'sandboxes')],
  ['a snapshot', 'snapshots/x1.json', async () => await writeRecord('snapshot', 'snapshots')],
  ['a checkpoint', 'states/c1', sealCheckpoint],
] as const)('a missing file of keys beside %s that is encrypted is named, and no new one is made', async (row) => {
  const [, remains, write] = row;
  await write();
  await rm(path);
  await expectRefused({
    reason: 'master_key_missing',
    message: expect.stringContaining(`${path} is missing, but ${join(folder, remains)} is encrypted`) as string,
  });
});

test('a folder with nothing that is encrypted gets keys, also beside readable and damaged records', async () => {
  await mkdir(join(folder, 'sandboxes'));
  await writeFile(join(folder, 'sandboxes', 'a.json'), '{"formatVersion":2,"sandboxId":"a"}');
  await writeFile(join(folder, 'sandboxes', 'b.json'), '{"formatVersion":3,"sea');
  await mkdir(join(folder, 'states', 'c1'), { recursive: true });
  using keyring = await open();
  expect((await keyring.open(await keyring.seal(new Secret('x'), place), place)).reveal()).toBe('x');
});

test('a damaged data key is named at the start, also if it is not the newest', async () => {
  (await open())[Symbol.dispose]();
  {
    const options = { records: fileKeyringRecords(path), sources: [fileMasterKeys(masterKeyFile)] as const };
    using keyring = await openKeyring({ ...options, valuesPerKey: 1 });
    for (let n = 0; n < 2; n++) await keyring.seal(new Secret('x'), place);
  }
  const file = JSON.parse(await readFile(path, 'utf8')) as { dataKeys: { id: string; wrapped: string }[] };
  const [oldest] = file.dataKeys;
  if (oldest === undefined || file.dataKeys.length < 3) throw new Error('too few data keys');
  oldest.wrapped = oldest.wrapped.replace(/.{6}$/, 'AAAAAA');
  await writeFile(path, JSON.stringify(file));
  await expectRefused({
    reason: 'state_damaged',
    message: expect.stringContaining(`The data key ${oldest.id} in ${path} is damaged`) as string,
  });
});

test('without the master key, nothing is changed', async () => {
  (await open())[Symbol.dispose]();
  await rm(masterKeyFile);
  await expectRefused({ reason: 'master_key_missing' });
});
