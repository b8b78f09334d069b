import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openAuditSigningKey, openFields, openSubjectKey, recordOfLeaf } from '@soulbox/audit';
import type { AuditRecord } from '@soulbox/audit';
import { verifyLog } from '@soulbox/audit/verify-log';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openTestKeyring } from '@soulbox/keyring/testing';
import type { Keyring } from '@soulbox/keyring';
import { openSqliteRecords } from '@soulbox/storage';
import type { Records } from '@soulbox/storage';
import { newRecordsFile } from '@soulbox/storage/testing';
import { until } from '../testing/test-api.ts';
import { sequenceUntilStop } from './sequence-until-stop.ts';
import { createTeamLogs } from './team-logs.ts';
import type { TeamLogs } from './team-logs.ts';
import { createTrail } from './trail.ts';
import type { Trail } from './trail.ts';
import { createWitnessing } from './witnessing.ts';
import { testDeed } from './testing/test-deed.ts';

const hourMs = 60 * 60 * 1000;

let folder: string;
let records: Records;
let keyring: Keyring;
let logs: TeamLogs;
let trail: Trail;
let now: number;
let stopping: AbortController;
let running: Promise<void>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-sequence-'));
  newRecordsFile(join(folder, 'records.sqlite'));
  records = openSqliteRecords(join(folder, 'records.sqlite'));
  keyring = await openTestKeyring(records);
  now = 1_000_000_000_000;
  stopping = new AbortController();
  const shared = { clock: { now: () => now }, logger: silentLogger, records, maxBytes: 1e6 };
  logs = createTeamLogs({ directory: join(folder, 'audit'), signingKey: await openAuditSigningKey(folder), records });
  const policy = { jurisdiction: 'eu', minDays: 0 } as const;
  trail = createTrail({ ...shared, sealer: keyring, isOverdue: () => false, policy });
  const witnessing = createWitnessing({ ...shared, witnesses: [], quorum: 1, maxMs: 0 });
  running = sequenceUntilStop({ ...shared, logs, trail, witnessing }, stopping.signal);
});
afterEach(async () => {
  stopping.abort();
  await running;
  keyring[Symbol.dispose]();
  await records[Symbol.asyncDispose]();
  await removeTree(folder);
});

const published = async (): Promise<AuditRecord[]> => {
  const { log } = await logs.open('t');
  return (await log.readEntries(0, log.checkpoint.size)).map((entry) => recordOfLeaf(entry));
};
const actions = async (): Promise<string[]> => (await published()).map(({ action }) => action);
const untilActions = async (wanted: readonly string[]): Promise<void> => {
  try {
    await until(async () => (await actions()).length >= wanted.length);
  } finally {
    expect(await actions()).toEqual(wanted);
  }
};

test('an hour without a record leaves one, and only one', async () => {
  await trail.admit(testDeed);
  await untilActions(['sandbox.create']);
  now += hourMs - 1;
  await sleep(1200);
  expect(await actions()).toEqual(['sandbox.create']);
  now += 1;
  await untilActions(['sandbox.create', 'audit.heartbeat']);
  await sleep(1200);
  expect(await actions()).toEqual(['sandbox.create', 'audit.heartbeat']);
  const [, heartbeat] = await published();
  expect(heartbeat).toMatchObject({ time: now, stage: 'event', actor: { kind: 'server', id: 'control' } });
});

test('erasing a subject makes its fields unreadable, and changes neither a hash nor the root', async () => {
  await trail.admit(testDeed);
  await trail.admit({ ...testDeed, actor: { kind: 'key', id: 'k2' } });
  await untilActions(['sandbox.create', 'sandbox.create']);
  const { log } = await logs.open('t');
  const { note, root } = log.checkpoint;
  const [one, other] = await published();
  const stored = await records.audit.findSubjectKey('t', 'k1');
  const key = await openSubjectKey(keyring, 't', stored ?? { id: '', sealed: '' });
  expect(openFields(one?.sealed ?? '', key, one?.id ?? '')).toMatchObject({ ip: '203.0.113.7' });
  await records.audit.eraseSubjectKey('t', one?.piiKeyId ?? '', undefined);
  expect(await records.audit.findSubjectKey('t', 'k1')).toBeUndefined();
  expect(other?.piiKeyId).not.toBe(one?.piiKeyId);
  expect(await records.audit.findSubjectKey('t', 'k2')).toMatchObject({ id: other?.piiKeyId });
  expect(log.checkpoint.root).toEqual(root);
  const report = verifyLog({ directory: join(folder, 'audit/t'), key: log.verifierKey, earlier: [note] });
  expect(report).toMatchObject({ faults: [], records: 2 });
  // What is in the files of the log never contained it in clear.
  const bundle = await readFile(join(folder, 'audit/t/tile/entries/000.p/2'), 'utf8');
  expect(bundle).not.toContain('203.0.113.7');
  expect(bundle).toContain(one?.sealed);
});
