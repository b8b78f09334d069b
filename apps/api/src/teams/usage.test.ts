import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

const mib = 2n ** 20n;
let api: TestApi;
let id: string;
beforeEach(async () => {
  const config = { teamDiskMb: 100, teamPausedMemoryMb: 10, teamSnapshotLimit: 5, teamKvMb: 7, teamEventLimit: 2000 };
  api = await startTestApi({ config });
  ({ sandboxID: id } = (await api.ask('POST', '/sandboxes', { body: { templateID: 'base' } })).json as {
    sandboxID: string;
  });
});
afterEach(() => api[Symbol.asyncDispose]());

const usage = async () =>
  (await api.ask('GET', `/teams/${api.teamId}/usage`)).json as Record<string, { used: number; limit: number }>;
const post = async (path: string, body?: object) => await api.ask('POST', path, body === undefined ? {} : { body });

describe('the usage of a team', () => {
  it('is shown with its limits, only to the team, and in the metrics', async () => {
    api.runner.usage.diskBytes = 3n * mib;
    api.runner.usage.pausedMemoryBytes = 2n * mib;
    expect((await post(`/sandboxes/${id}/snapshots`)).status).toBe(201);
    const { disk_bytes: disk, events, ...rest } = await usage();
    expect(rest).toEqual({
      paused_memory_bytes: { used: Number(2n * mib), limit: Number(10n * mib) },
      snapshots: { used: 1, limit: 5 },
      sandboxes: { used: 1, limit: 1000 },
      memory_bytes: { used: 1024 * Number(mib), limit: null },
      storage_bytes: { used: 4096, limit: null },
      cpu_seconds_today: { used: 0, limit: null },
      egress_bytes_today: { used: 0, limit: null },
      upload_bytes: { used: 0, limit: 10 * 1024 * Number(mib) },
      kv_bytes: { used: 0, limit: Number(7n * mib) },
    });
    expect(disk).toEqual({ used: Number(3n * mib), limit: 100 * Number(mib) });
    expect(events?.used).toBeGreaterThan(0);
    expect((await api.ask('GET', `/teams/${api.otherTeamId}/usage`)).status).toBe(404);
    const { text } = await api.ask('GET', '/metrics');
    expect(text).toContain(`soulbox_team_used{what="paused_memory_bytes"} ${String(2n * mib)}`);
    expect(text).toContain('soulbox_team_limit{what="snapshots"} 5');
  });

  it('is limited: with a full disk quota, steps that need space are refused, but ends and pauses work', async () => {
    api.runner.usage.diskBytes = 100n * mib;
    const refusals = [
      ['/sandboxes', { templateID: 'base' }],
      ['/v2/sandboxes', { templateID: 'base' }],
      [`/sandboxes/${id}/fork`, {}],
      [`/sandboxes/${id}/snapshots`, {}],
    ] as const;
    for (const [path, body] of refusals) {
      const answer = await post(path, body);
      expect([path, answer.status]).toEqual([path, 429]);
      expect(answer.text).toContain('The team is over its limit.');
    }
    expect(api.runner.sandboxes.size).toBe(1);
    expect((await post(`/sandboxes/${id}/pause`)).status).toBe(204);
    expect((await api.ask('DELETE', `/sandboxes/${id}`)).status).toBe(204);
  });

  it('is not read from the records before a step that needs more space', async () => {
    const readRecords = vi.spyOn(api.records.teams, 'readUsage');
    expect((await post('/sandboxes', { templateID: 'base' })).status).toBe(201);
    expect((await post(`/sandboxes/${id}/pause`)).status).toBe(204);
    expect(readRecords).not.toHaveBeenCalled();
  });

  it('does not hide that a sandbox is already paused', async () => {
    expect((await post(`/sandboxes/${id}/pause`)).status).toBe(204);
    api.runner.usage.pausedMemoryBytes = 10n * mib;
    expect((await post(`/sandboxes/${id}/pause`)).status).toBe(409);
  });

  it('is limited: a pause beyond the limit of saved memory is refused, and the sandbox continues to run', async () => {
    api.runner.usage.pausedMemoryBytes = 10n * mib;
    const answer = await post(`/sandboxes/${id}/pause`);
    expect(answer.status).toBe(429);
    expect(answer.text).toContain('The team is over its limit.');
    expect((await api.ask('GET', `/sandboxes/${id}`)).json).toMatchObject({ state: 'running' });
    api.runner.usage.pausedMemoryBytes = 0n;
    expect((await post(`/sandboxes/${id}/pause`)).status).toBe(204);
  });
});
