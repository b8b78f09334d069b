import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ensureDefaultTeam } from '../first-start.ts';
import { facts } from '../../conformance/facts.ts';
import { migrate } from './migrate.ts';
import { migrations } from './migrations.ts';
import { openSqliteRecords } from './open.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-usage-'));
  path = join(folder, 'records.sqlite');
});
afterEach(() => rm(folder, { recursive: true }));

it("counts each team's data across restarts, and keeps the newest events of a team with too many", async () => {
  let team = '';
  {
    await using records = openSqliteRecords(path);
    team = (await ensureDefaultTeam(records)).id;
    await records.teams.create({ id: 'other', name: 'other', isDefault: false, createdAt: 1 });
    for (let number = 0; number < 10; number += 1)
      await records.sandboxes.put(facts(`i${number}`, team, number), number);
    await records.sandboxes.put(facts('j', 'other', 1), 1);
    for (let number = 0; number < 5; number += 1) await records.sandboxes.end(`i${number}`, 'killed', 100);
    const upload = { id: 'u1', teamId: team, hash: 'h', sizeBytes: 30 };
    await records.buildFiles.reserve(upload, 100);
    await records.buildFiles.complete('u1', 1);
    await records.kv.ensureNamespace({ id: 'n1', teamId: team, name: 'STORE', createdAt: 1 }, 10);
    const entry = { key: 'k', blobKey: 'b', sizeBytes: 7, metadata: undefined, expiresAt: undefined };
    await records.kv.put('n1', entry, { keys: 1, sizeBytes: 10, teamBytes: 10 });
  }
  await using records = openSqliteRecords(path);
  const { events } = await records.teams.readUsage(team);
  const list = async (teamId: string) => {
    const all = {
      sandboxId: undefined,
      types: [],
      after: 0,
      order: 'asc',
      offset: 0,
      limit: 100,
      maxChars: 1_000_000,
    } as const;
    return (await records.events.list({ teamId, ...all })).events;
  };
  expect(events).toBe((await list(team)).length);
  expect(events).toBeGreaterThanOrEqual(15);
  expect(await records.teams.readUsage(team)).toEqual({
    snapshots: 0,
    snapshotBytes: 0,
    uploadBytes: 30,
    kvBytes: 7,
    events,
  });
  const newest = (await list(team)).slice(-4);
  let purged = 0;
  for (let count = 1; count > 0; purged += count) count = await records.events.purgeBeyond(4, 3);
  expect(purged).toBe(events - 4);
  expect(await list(team)).toEqual(newest);
  expect((await records.teams.readUsage(team)).events).toBe(4);
  expect((await records.teams.readUsage('other')).events).toBe((await list('other')).length);
});

it('counts the events in a file of the previous version', async () => {
  const db = new DatabaseSync(path);
  migrate(db, migrations.slice(0, -1));
  const columns = db
    .prepare("SELECT name FROM pragma_table_info('events')")
    .all()
    .map(({ name }) => String(name));
  db.exec("INSERT INTO teams VALUES ('t1', 'default', 1, 1)");
  const shared = columns.includes('metadata_id') ? ['metadata_id', 'NULL'] : ['metadata', "'{}'"];
  for (let number = 0; number < 3; number += 1)
    db.exec(`INSERT INTO events (id, team_id, sandbox_id, template_id, execution_id, type, at, cause, ${shared[0] ?? ''})
      VALUES ('e${number}', 't1', 'i1', 't', 'x', 'sandbox.lifecycle.created', 1, 'request', ${shared[1] ?? ''})`);
  db.close();
  await using records = openSqliteRecords(path);
  expect((await records.teams.readUsage('t1')).events).toBe(3);
});
