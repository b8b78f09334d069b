// Data is kept for the configured time and deleted afterwards.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startTestApi, until } from './testing/test-api.ts';
import type { TestApi } from './testing/test-api.ts';

const hour = 3_600_000;
let api: TestApi;
let aheadMs: number;

beforeEach(async () => {
  aheadMs = 0;
  api = await startTestApi({
    config: { eventRetentionHours: 3, endedRetentionHours: 5 },
    clock: { now: () => Date.now() + aheadMs },
  });
});
afterEach(() => api[Symbol.asyncDispose]());

/** The API purges old data at its start. */
async function later(ms: number): Promise<void> {
  aheadMs += ms;
  await api.restart();
}

async function makeAndKill(): Promise<string> {
  const made = await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base' } });
  const { sandboxID } = made.json as { sandboxID: string };
  expect((await api.ask('DELETE', `/sandboxes/${sandboxID}`)).status).toBe(204);
  await until(async () => (await typesOf(sandboxID)).length === 2);
  return sandboxID;
}

async function typesOf(sandboxId: string): Promise<string[]> {
  const { json } = await api.ask('GET', `/events/sandboxes/${sandboxId}`);
  return (json as { type: string }[]).map(({ type }) => type);
}

const isRecorded = async (sandboxId: string): Promise<boolean> =>
  (await api.records.sandboxes.find(sandboxId)) !== undefined;

it('events are kept for their hours only; the record of an ended sandbox has its own time', async () => {
  const sandboxId = await makeAndKill();
  await later(3 * hour - 60_000);
  expect(await typesOf(sandboxId)).toHaveLength(2);
  await later(2 * 60_000);
  await until(async () => (await typesOf(sandboxId)).length === 0);
  expect(await isRecorded(sandboxId)).toBe(true);
  await later(2 * hour);
  await until(async () => !(await isRecorded(sandboxId)));
});

it('a live sandbox is not purged, however old it is', async () => {
  const made = await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base', timeout: 86_400 } });
  const { sandboxID } = made.json as { sandboxID: string };
  await makeAndKill();
  await later(20 * hour);
  await until(async () => (await typesOf(sandboxID)).length === 0);
  expect(await isRecorded(sandboxID)).toBe(true);
});

it('sessions and personal tokens are removed after their end', async () => {
  const now = Date.now();
  const user = { id: 'u', issuer: 'i', subject: 's', email: '', name: '', createdAt: now, lastSignInAt: undefined };
  await api.records.users.create(user, 9);
  const ends = { userId: 'u', createdAt: now, expiresAt: now + hour };
  await api.records.sessions.create({ ...ends, id: 's1', hash: 's1', seenAt: now, providerSid: '' }, 9);
  await api.records.personalTokens.create(
    { ...ends, id: 't1', hash: 't1', name: 'x', suffix: 'abcd', isOfProgram: false, lastUsedAt: undefined },
    9,
  );
  await later(hour - 60_000);
  expect(await api.records.sessions.find('s1')).toBeDefined();
  await later(2 * 60_000);
  await until(async () => (await api.records.sessions.find('s1')) === undefined);
  await until(async () => (await api.records.personalTokens.find('t1')) === undefined);
});
