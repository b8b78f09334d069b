import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { recordOfLeaf } from '@soulbox/audit';
import type { AuditRecord } from '@soulbox/audit';
import { removeTree, systemClock } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openSqliteRecords } from '@soulbox/storage';
import type { Records } from '@soulbox/storage';
import { newRecordsFile } from '@soulbox/storage/testing';
import { createTrail } from './trail.ts';
import type { Trail } from './trail.ts';
import { testDeed } from './testing/test-deed.ts';

const away = (): Promise<never> => Promise.reject(new Error('The module does not answer.'));
let folder: string;
let records: Records;
/** A trail whose keyring is away. */
let trail: Trail;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-trail-'));
  newRecordsFile(join(folder, 'records.sqlite'));
  records = openSqliteRecords(join(folder, 'records.sqlite'));
  trail = createTrail({
    records,
    sealer: { seal: away, open: away },
    isOverdue: () => false,
    policy: { jurisdiction: 'eu', minDays: 0 },
    maxBytes: 1e6,
    clock: systemClock,
    logger: silentLogger,
  });
});
afterEach(async () => {
  await records[Symbol.asyncDispose]();
  await removeTree(folder);
});

const recorded = async (): Promise<AuditRecord[]> =>
  (await records.audit.listWaiting('t', 0, 100)).map(({ text }) => recordOfLeaf(text));

it('refuses an action whose personal fields cannot be sealed, and stores nothing of it', async () => {
  await expect(trail.admit(testDeed)).rejects.toMatchObject({ reason: 'audit_unavailable' });
  await expect(trail.note(testDeed, { status: 'success', code: 200 })).rejects.toMatchObject({
    reason: 'audit_unavailable',
  });
  expect(await recorded()).toEqual([]);
});

it('records kills and what has happened without the personal fields, and says so', async () => {
  await trail.admitAlways({ ...testDeed, action: 'sandbox.kill' });
  await trail.tell({ ...testDeed, facts: { count: 2 } }, 'outcome', { status: 'success', code: 204 });
  const [kill, outcome] = await recorded();
  expect(kill).toMatchObject({ action: 'sandbox.kill', facts: { personal: 'unavailable' } });
  expect(outcome).toMatchObject({ facts: { count: 2, personal: 'unavailable' }, result: { code: 204 } });
  expect(kill).not.toHaveProperty('sealed');
  expect(kill?.source).toEqual({ network: '203.0.113.0/24', agent: 'e2b-js-sdk' });
});
