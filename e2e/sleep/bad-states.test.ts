import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from 'e2b';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { askApi } from '../harness/http.ts';
import { useOwnTeam } from '../harness/own-team.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { createStrangerKey } from '../harness/stranger.ts';
import { until } from '../harness/until.ts';

// Invalid requests about states, and steps that run at the same time.

let strangerKey = '';

beforeAll(async () => {
  await useOwnTeam('bad states');
  strangerKey = await createStrangerKey('strangers of states');
});

const steps = ['pause', 'resume', 'connect', 'fork', 'snapshots'] as const;

/** The status of the response to one step with this body. */
async function statusOf(step: string, sandboxId: string, headers = {}): Promise<number> {
  return (await askApi('POST', `/sandboxes/${sandboxId}/${step}`, { timeout: 60 }, headers)).status;
}

test("another team's sandbox allows no step, running or paused, and the answers reveal nothing about it", async () => {
  const sandbox = await createSandbox();
  const stranger = { 'x-api-key': strangerKey };
  for (const state of ['running', 'paused']) {
    if (state === 'paused') await sandbox.pause();
    for (const step of steps)
      expect({ step, status: await statusOf(step, sandbox.sandboxId, stranger) }).toEqual({ step, status: 404 });
    expect((await sandbox.getInfo()).state).toBe(state);
  }
});

test("another team's snapshot is not listed, used, replaced, forked or deleted", async () => {
  const sandbox = await createSandbox();
  const name = `ours-${Date.now()}`;
  const { snapshotId } = await sandbox.createSnapshot({ name });
  const headers = { 'x-api-key': strangerKey };
  const stranger = { apiKey: strangerKey };
  for (const id of [snapshotId, name]) {
    expect((await askApi('POST', '/v2/sandboxes', { templateID: id }, headers)).status).toBe(404);
    expect((await askApi('POST', `/snapshots/${id}/fork`, {}, headers)).status).toBe(404);
    expect((await askApi('DELETE', `/templates/${id}`, undefined, headers)).status).toBe(404);
  }
  expect(await Sandbox.deleteSnapshot(snapshotId, stranger)).toBe(false);
  expect(await Sandbox.listSnapshots(stranger).nextItems()).toEqual([]);

  const theirs = await Sandbox.create(stranger);
  onTestFinished(async () => {
    await theirs.kill();
  });
  const same = await theirs.createSnapshot({ name });
  expect(await Sandbox.deleteSnapshot(same.snapshotId, stranger)).toBe(true);
  const copy = await Sandbox.create(snapshotId);
  expect(await copy.kill()).toBe(true);

  expect(await Sandbox.deleteSnapshot(snapshotId)).toBe(true);
  expect(await Sandbox.deleteSnapshot(snapshotId)).toBe(false);
  expect((await askApi('POST', '/v2/sandboxes', { templateID: snapshotId })).status).toBe(404);
});

test.each(steps)('%s during a kill succeeds or fails, and the sandbox is gone', async (step) => {
  for (let delayMs = 0; delayMs < 60; delayMs += 20) {
    const sandbox = await createSandbox();
    const killing = sandbox.kill();
    await sleep(delayMs);
    const status = await statusOf(step, sandbox.sandboxId);
    expect(await killing).toBe(true);
    expect([200, 201, 204, 404, 409]).toContain(status);
    expect(await sandbox.isRunning()).toBe(false);
    await expect(sandbox.getInfo()).rejects.toThrow();
  }
  await endCopies();
});

test('a kill during each step wins', { timeout: 120_000 }, async () => {
  for (const step of steps) {
    for (const delayMs of [10, 60, 120]) {
      const sandbox = await createSandbox();
      if (step === 'resume' || step === 'connect') await sandbox.pause();
      const asked = statusOf(step, sandbox.sandboxId);
      await sleep(delayMs);
      expect(await sandbox.kill()).toBe(true);
      expect([200, 201, 204, 404, 409, 503]).toContain(await asked);
      await expect(sandbox.getInfo()).rejects.toThrow();
    }
  }
  await endCopies();
});

test('a pause during a resume and a resume during a pause end with a working sandbox', async () => {
  const sandbox = await createSandbox();
  await sandbox.files.write('kept.txt', 'kept');
  for (const [first, second] of [
    ['connect', 'pause'],
    ['pause', 'connect'],
    ['resume', 'pause'],
    ['pause', 'resume'],
  ] as const) {
    if (first !== 'pause') await sandbox.pause();
    const asked = statusOf(first, sandbox.sandboxId);
    await sleep(20);
    const statuses = [await statusOf(second, sandbox.sandboxId), await asked];
    for (const status of statuses) expect([200, 201, 204, 409]).toContain(status);
    await sandbox.connect();
    expect(await sandbox.files.read('kept.txt')).toBe('kept');
  }
});

test.each([{ count: 0 }, { count: 101 }, { count: 'x' }, { count: 1, timeout: -1 }, { count: 2, timeout: 1e12 }])(
  'a fork of a snapshot with %j is refused',
  async (body) => {
    const sandbox = await createSandbox();
    const { snapshotId } = await sandbox.createSnapshot();
    onTestFinished(async () => {
      await Sandbox.deleteSnapshot(snapshotId);
    });
    expect((await askApi('POST', `/snapshots/${snapshotId}/fork`, body)).status).toBe(400);
  },
);

/** Copies and snapshots that a step made although its sandbox was killed. Nobody needs them. */
async function endCopies(): Promise<void> {
  await until('all copies ended', async () => {
    const copies = await Sandbox.list().nextItems();
    for (const { sandboxId } of copies) await Sandbox.kill(sandboxId);
    return copies.length === 0;
  });
  for (const { snapshotId } of await Sandbox.listSnapshots().nextItems()) await Sandbox.deleteSnapshot(snapshotId);
}
