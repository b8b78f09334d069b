import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ensureDefaultTeam, openSqliteRecords } from '@soulbox/storage';
import type { Records, TeamRecord } from '@soulbox/storage';
import { newRecordsFile } from '@soulbox/storage/testing';
import type { ApiContext } from '../context.ts';
import { findSnapshot } from './snapshot.ts';

let cleanup: AsyncDisposableStack;
let records: Records;
let own: TeamRecord;
const other: TeamRecord = { id: 'oooo', name: 'other', isDefault: false, createdAt: 1 };

beforeEach(async () => {
  cleanup = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-snapshots-'));
  cleanup.defer(() => rm(folder, { recursive: true }));
  newRecordsFile(join(folder, 'records.sqlite'));
  records = cleanup.use(openSqliteRecords(join(folder, 'records.sqlite')));
  own = await ensureDefaultTeam(records);
  await records.teams.create(other);
  await add('s1', own, 'mine');
  await add('s2', own, 'mine', 'v2');
  await add('s3', other, 'theirs');
});
afterEach(() => cleanup.disposeAsync());

async function add(id: string, team: TeamRecord, name: string, tag = 'default'): Promise<void> {
  const source = { sandboxId: 'i1', templateId: 'tbase', isolation: 'container' };
  const size = { cpuCount: 1, memoryMb: 1, diskSizeMb: 1 };
  await records.snapshots.begin({ id, teamId: team.id, name, tag, createdAt: 1, ...source, ...size }, 100);
  await records.snapshots.complete(id, { createdAt: 1, sizeBytes: 1 });
}

const find = async (team: TeamRecord, text: string): Promise<string | undefined> =>
  (await findSnapshot({ records } as ApiContext, team, text))?.id;

it.each([
  ['mine', 's1'],
  ['mine:default', 's1'],
  ['mine:v2', 's2'],
  ['s1', 's1'],
  ['s2:default', 's2'],
  [' MINE:V2 ', 's2'],
])('%j means %s', async (text, id) => {
  expect(await find(own, text)).toBe(id);
});

it("may have the team's name or id as a namespace", async () => {
  for (const namespace of [own.name, own.id]) expect(await find(own, `${namespace}/mine:v2`)).toBe('s2');
});

// A reference to another team's snapshot must not find the caller's own of the same name: it may be passed to `fork`.
it.each(['other/mine', 'oooo/mine', 'other/mine:v2', 'nobody/mine'])('%s is not our own `mine`', async (text) => {
  expect(await find(own, text)).toBeUndefined();
});

it.each(['other/theirs', 'oooo/theirs', 'theirs', 's3', 's3:default'])(
  '%s of another team is not found',
  async (text) => {
    expect(await find(own, text)).toBeUndefined();
  },
);

it.each(['s1:v2', 'default/s1', 'none', '', '/', 'a/b/c', 'x'.repeat(129)])('%j names no snapshot', async (text) => {
  expect(await find(own, text)).toBeUndefined();
});
