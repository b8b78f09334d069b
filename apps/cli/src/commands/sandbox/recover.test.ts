import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { createApiKey, ensureDefaultTeam, openSqliteRecords } from '@soulbox/storage';
import type { ReportedSandbox } from '@soulbox/storage';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runCli } from '../../testing/run-cli.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cli-recover-'));
});
afterEach(async () => {
  await removeTree(directory);
});

const recover = async (...args: string[]) => await runCli(['sandbox', 'recover', ...args, '--data-dir', directory]);

const sandboxOf = (teamId: string, id: string): ReportedSandbox => ({
  ...{ id, teamId, templateId: 'base', alias: '', metadata: {}, startedAt: 1000, endAt: 2000, cpuCount: 1 },
  ...{
    memoryMb: 512,
    diskSizeMb: 1024,
    envdVersion: '1',
    isolation: 'container',
    createdBy: '',
    creationId: '',
    cause: 'request',
    stateSince: 1000,
  },
  network: {
    ...{ allowInternetAccess: undefined, allowOut: [], denyOut: [] },
    ...{ allowPublicTraffic: undefined, maskRequestHost: undefined },
  },
  lifecycle: { autoResume: false, onTimeout: 'kill', idleTimeoutSeconds: 0 },
  volumes: [],
  state: 'paused',
});

test('lists sandboxes that no key can reach, and creates a key for a named team', async () => {
  {
    await using records = openSqliteRecords(join(directory, 'records.sqlite'));
    const known = await ensureDefaultTeam(records);
    await createApiKey(records, known, 'laptop');
    await records.teams.create({ id: 'gone', name: 'recovered gone', isDefault: false, createdAt: 1 });
    await records.sandboxes.put(sandboxOf(known.id, 'iknown'), 1000);
    await records.sandboxes.put(sandboxOf('gone', 'ilost'), 1000);
  }
  const listed = JSON.parse((await recover('--json')).stdout) as unknown;
  expect(listed).toEqual([
    { sandboxId: 'ilost', state: 'paused', templateId: 'base', startedAt: '1970-01-01T00:00:01.000Z', teamId: 'gone' },
  ]);
  expect((await recover('--team', 'nobody')).stderr).toContain('team_not_found');
  const made = await recover('--team', 'gone');
  expect(made.stdout).toMatch(/^e2b_[0-9a-f]{40}\n$/);
  expect((await recover()).stdout).toBe('Every sandbox belongs to a team that has a key.\n');
});
