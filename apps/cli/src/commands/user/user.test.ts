import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { recordOfLeaf } from '@soulbox/audit';
import { removeTree } from '@soulbox/base';
import { openSqliteRecords } from '@soulbox/storage';
import { runCli } from '../../testing/run-cli.ts';
import type { CliResult } from '../../testing/run-cli.ts';

let directory: string;
let cli: (...args: string[]) => Promise<CliResult>;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cli-user-'));
  cli = async (...args) => await runCli([...args, '--data-dir', directory]);
});
afterEach(async () => await removeTree(directory));

async function recorded(): Promise<string[]> {
  await using records = openSqliteRecords(join(directory, 'records.sqlite'));
  const found: string[] = [];
  for (const { id } of await records.teams.list())
    for (const { text } of await records.audit.listWaiting(id, 0, 100)) {
      const { action, actor, facts } = recordOfLeaf(text);
      found.push([action, actor.kind, ...Object.values(facts ?? {})].join(' '));
    }
  return found.sort();
}

test('a user is added, becomes a member, changes the role, and is removed; the audit log has each step', async () => {
  const id = (await cli('user', 'add', 'Ada@example.com')).stdout.trim();
  expect(id).toMatch(/^[0-9a-f-]{36}$/);
  expect((await cli('team', 'create', 'blue')).code).toBe(0);
  expect((await cli('team', 'member', 'add', 'ada@example.com', '--team', 'blue')).stdout).toBe(
    'ada@example.com is developer in the team blue.\n',
  );
  expect((await cli('team', 'member', 'add', id, '--team', 'blue', '--role', 'viewer')).code).toBe(0);
  expect((await cli('team', 'member', 'list', '--team', 'blue')).stdout).toMatch(
    new RegExp(`^${id} +ada@example.com +viewer +operator$`, 'm'),
  );
  expect((await cli('user', 'list')).stdout).toMatch(new RegExp(`^${id} +ada@example.com +never +blue:viewer$`, 'm'));
  expect((await cli('team', 'member', 'remove', id, '--team', 'blue')).code).toBe(0);
  expect(await cli('team', 'member', 'remove', id, '--team', 'blue')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('is not a member of the team blue') as string,
  });
  expect((await cli('user', 'remove', 'ada@example.com')).stdout).toContain('Removed ada@example.com');
  expect((await cli('user', 'list', '--json')).stdout.trim()).toBe('[]');
  expect(await recorded()).toEqual([
    'member.add operator developer',
    'member.change operator viewer',
    'member.remove operator',
    'team.create operator',
    'user.create operator',
    'user.remove operator',
  ]);
});

test('a user is added with a team in one step', async () => {
  expect((await cli('user', 'add', 'ada@example.com', '--team', 'default', '--role', 'admin')).code).toBe(0);
  expect((await cli('team', 'member', 'list', '--json')).stdout).toContain('"role":"admin"');
});

test('wrong addresses, roles, users and teams are refused', async () => {
  for (const email of ['ada', 'a b@example.com', '@example.com', 'ada@'])
    expect((await cli('user', 'add', '--', email)).code, email).toBe(2);
  expect((await cli('user', 'add', 'a@example.com', '--role', 'admin')).code).toBe(2);
  expect((await cli('user', 'add', 'a@example.com', '--team', 'default', '--role', 'owner')).code).toBe(2);
  expect((await cli('user', 'add', 'a@example.com', '--team', 'nope')).stderr).toContain('(team_not_found)');
  expect((await cli('user', 'list', '--json')).stdout.trim()).toBe('[]');
  expect((await cli('user', 'add', 'a@example.com')).code).toBe(0);
  expect((await cli('user', 'add', 'A@example.com')).stderr).toContain('(user_exists)');
  expect((await cli('user', 'remove', 'b@example.com')).stderr).toContain('(user_not_found)');
  expect((await cli('team', 'member', 'add', 'b@example.com')).stderr).toContain('(user_not_found)');
});
