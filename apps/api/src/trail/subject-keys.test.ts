import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openSubjectKey } from '@soulbox/audit';
import type { SubjectKeySealer } from '@soulbox/audit';
import { removeTree, SoulBoxError } from '@soulbox/base';
import { openTestKeyring } from '@soulbox/keyring/testing';
import type { Keyring } from '@soulbox/keyring';
import { openSqliteRecords } from '@soulbox/storage';
import type { Records } from '@soulbox/storage';
import { newRecordsFile } from '@soulbox/storage/testing';
import { createSubjectKeys } from './subject-keys.ts';

let folder: string;
let records: Records;
let keyring: Keyring;
/** A keyring whose hardware module can be taken away. */
let isAway: boolean;
let calls: number;
let now: number;
const sealer = (): SubjectKeySealer => {
  const check = (): void => {
    calls += 1;
    if (isAway) throw new SoulBoxError('host_not_ready', 'The module does not answer.');
  };
  return {
    seal: async (value, place) => {
      check();
      return await keyring.seal(value, place);
    },
    open: async (sealed, place) => {
      check();
      return await keyring.open(sealed, place);
    },
  };
};
const keysOf = () => createSubjectKeys(records.audit, sealer(), { now: () => now });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-subject-keys-'));
  newRecordsFile(join(folder, 'records.sqlite'));
  records = openSqliteRecords(join(folder, 'records.sqlite'));
  keyring = await openTestKeyring(records);
  [isAway, calls, now] = [false, 0, 1000];
});
afterEach(async () => {
  await records[Symbol.asyncDispose]();
  await removeTree(folder);
});

it('gives 50 callers at the same moment one key, and each process the same', async () => {
  const keys = keysOf();
  const found = await Promise.all(Array.from({ length: 50 }, () => keys.get('t', 's')));
  const again = await keysOf().get('t', 's');
  expect(new Set([...found, again].map(({ id }) => id)).size).toBe(1);
  expect(again.key.export().equals(found[0]?.key.export() ?? Buffer.alloc(0))).toBe(true);
});

it('goes on with keys in memory while the keyring is away, and refuses all others', async () => {
  const keys = keysOf();
  const known = await keys.get('t', 'known');
  await keysOf().get('t', 'stored');
  isAway = true;
  for (let step = 0; step < 5; step += 1) {
    now += 3_600_000;
    expect(await keys.get('t', 'known')).toEqual(known);
  }
  await expect(keys.get('t', 'stored')).rejects.toThrow('does not answer');
  await expect(keys.get('t', 'new')).rejects.toThrow('does not answer');
  expect(await records.audit.findSubjectKey('t', 'new')).toBeUndefined();
  isAway = false;
  expect((await keys.get('t', 'new')).id).toMatch(/^[0-9a-f]{24}$/);
});

it('asks the keyring once for a key that stays', async () => {
  const keys = keysOf();
  await keys.get('t', 's');
  for (let step = 0; step < 20; step += 1) {
    now += 1001;
    await keys.get('t', 's');
  }
  expect(calls).toBe(1);
});

it('takes a new key a second after another process has erased the old one', async () => {
  const keys = keysOf();
  const erased = await keys.get('t', 's');
  await records.audit.eraseSubjectKey('t', erased.id, undefined);
  now += 1001;
  const fresh = await keys.get('t', 's');
  expect(fresh.id).not.toBe(erased.id);
  const stored = await records.audit.findSubjectKey('t', 's');
  expect((await openSubjectKey(keyring, 't', stored ?? { id: '', sealed: '' })).id).toBe(fresh.id);
});

it('keeps at most 1000 keys, and forgets the one that was used least recently', async () => {
  const keys = keysOf();
  for (let n = 0; n < 1000; n += 1) await keys.get('t', `s${n}`);
  now += 1001;
  await keys.get('t', 's0');
  await keys.get('t', 'one more');
  isAway = true;
  now += 1001;
  await keys.get('t', 's0');
  await expect(keys.get('t', 's1')).rejects.toThrow('does not answer');
});
