import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { openSqliteRecords } from '@soulbox/storage';
import { runCli } from '../../testing/run-cli.ts';
import type { CliResult } from '../../testing/run-cli.ts';

let directory: string;
let cli: (...args: string[]) => Promise<CliResult>;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cli-team-'));
  cli = async (...args) => await runCli([...args, '--data-dir', directory]);
});
afterEach(async () => await removeTree(directory));

test('a team is created, has its own keys, is listed and is deleted with them', async () => {
  const id = (await cli('team', 'create', 'blue')).stdout.trim();
  expect(id).toMatch(/^[0-9a-f-]{36}$/);
  expect(await cli('team', 'create', 'blue')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('name_taken') as string,
  });
  expect((await cli('key', 'create', 'ci', '--team', 'blue')).stdout).toMatch(/^e2b_[0-9a-f]{40}\n$/);
  const namesOf = async (...team: string[]): Promise<string[]> =>
    (JSON.parse((await cli('key', 'list', '--json', ...team)).stdout) as { name: string }[]).map(({ name }) => name);
  expect(await namesOf('--team', id)).toEqual(['ci']);
  expect(await namesOf()).toEqual([]);
  expect((await cli('team', 'list')).stdout).toMatch(new RegExp(`^${id} +blue +\\S+ +1 +0 +0 +0 +0 +0$`, 'm'));
  expect((await cli('team', 'delete', 'blue')).stdout).toBe(`Deleted the team blue (${id}).\n`);
  expect((await cli('team', 'list')).stdout).not.toContain('blue');
  expect(await cli('key', 'list', '--team', 'blue')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('team_not_found') as string,
  });
});

test('a team with content is not deleted, and without a server not even by force', async () => {
  const id = (await cli('team', 'create', 'busy')).stdout.trim();
  {
    await using records = openSqliteRecords(join(directory, 'records.sqlite'));
    await records.templates.ensure({ id: 't'.repeat(20), teamId: id, name: 'mine', createdAt: 1 }, 9);
  }
  const refused = await cli('team', 'delete', 'busy');
  expect(refused).toMatchObject({
    code: 1,
    stderr: 'error: Team "busy" has 1 templates. Delete them, or use --force. (team_in_use)\n',
  });
  const forced = await cli('team', 'delete', 'busy', '--force');
  expect(forced).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('Only a running server can end sandboxes') as string,
  });
  expect((await cli('team', 'list')).stdout).toContain('busy');
});

test('the default team stays, and team names are valid namespaces of templates', async () => {
  expect((await cli('team', 'delete', 'default')).stderr).toContain('(forbidden)');
  for (const name of ['Blue', 'a/b', '-x', '', 'x'.repeat(65)])
    expect((await cli('team', 'create', '--', name)).code, name).toBe(2);
});

describe('the limits of a team', () => {
  it('are shown, changed one by one, and recorded in its audit log', async () => {
    const id = (await cli('team', 'create', 'blue')).stdout.trim();
    const changed = await cli('team', 'limits', 'blue', '--set', 'sandboxes=20', '--set', 'memory-mb=none');
    expect(changed).toMatchObject({ code: 0, stderr: '' });
    expect(changed.stdout).toMatch(/^sandboxes +20 +Sandboxes that run/m);
    expect(changed.stdout).toMatch(/^memory_mb +none /m);
    expect(changed.stdout).toMatch(/^snapshots +default /m);
    await cli('team', 'limits', 'blue', '--set', 'sandboxes=default');
    await using records = openSqliteRecords(join(directory, 'records.sqlite'));
    expect([...(await records.quotas.findLimits(id))]).toEqual([['memory_mb', null]]);
    expect((await records.audit.findHead(id))?.bytes).toBeGreaterThan(0);
    expect((await cli('team', 'limits')).stdout).toMatch(/^memory_mb +default /m);
  });

  it.each(['sandboxes', 'sandboxes=', 'sandboxes=-1', 'sandboxes=1.5', 'sandboxes=100001', 'nonsense=1', '=1'])(
    'are not changed by %s',
    async (change) => {
      expect((await cli('team', 'limits', '--set', change)).code).toBe(2);
      expect((await cli('team', 'limits')).stdout).toMatch(/^sandboxes +default /m);
    },
  );

  it('of an unknown team are not changed', async () => {
    expect((await cli('team', 'limits', 'nobody', '--set', 'sandboxes=1')).stderr).toContain('(team_not_found)');
  });
});
