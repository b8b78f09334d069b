import { setTimeout as sleep } from 'node:timers/promises';
import { timestampMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runnerStateMs } from '../limits.ts';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
let id: string;
beforeEach(async () => {
  api = await startTestApi({ config: { maxTimeoutHours: 1 } });
  const answer = await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base', timeout: 100 } });
  id = (answer.json as { sandboxID: string }).sandboxID;
});
afterEach(() => api[Symbol.asyncDispose]());

const endAtOf = async (): Promise<number> => {
  const info = await api.ask('GET', `/sandboxes/${id}`);
  return Date.parse((info.json as { endAt: string }).endAt);
};
const secondsLeft = async (): Promise<number> => Math.round((await endAtOf()) / 1000 - Date.now() / 1000);
/** The latest request to the runner. */
const lastCall = () => api.runner.stateRequests.at(-1);
const notFound = (name = id) => ({ code: 404, message: `Sandbox "${name}" was not found.` });
/** The error for the owner of an ended sandbox. */
const ended = (cause: string) => ({
  code: 404,
  message: expect.stringMatching(
    new RegExp(`^Sandbox "${id}" was not found\\. It ended at \\d{4}-[\\dT:.-]+Z \\(${cause}\\)\\.$`),
  ) as string,
});

describe('info', () => {
  it('has every documented field', async () => {
    const info = await api.ask('GET', `/sandboxes/${id}`);
    expect(info.json).toEqual({
      sandboxID: id,
      templateID: 'tbase',
      clientID: 'soulbox',
      alias: 'base',
      startedAt: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      endAt: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      cpuCount: 2,
      memoryMB: 1024,
      diskSizeMB: 10_240,
      metadata: {},
      state: 'running',
      envdVersion: '0.6.13',
      isolation: 'container',
      idleTimeout: 0,
      cause: 'request',
      stateSince: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      envdAccessToken: 'access-token',
      allowInternetAccess: null,
      domain: null,
      network: { allowPublicTraffic: true },
      lifecycle: { autoResume: false, onTimeout: 'kill' },
    });
  });

  it('accepts the old form of the id with a client id after a dash', async () => {
    expect((await api.ask('GET', `/sandboxes/${id}-6532622b`)).status).toBe(200);
  });

  it('is 404 when the runner has lost the sandbox, and the list is corrected', async () => {
    api.runner.sandboxes.delete(id);
    expect((await api.ask('GET', `/sandboxes/${id}`)).json).toEqual(ended('lost'));
    expect((await api.ask('GET', '/v2/sandboxes')).json).toEqual([]);
    expect(await api.records.sandboxes.find(id)).toMatchObject({ state: 'ended', cause: 'lost' });
  });
});

describe('kill', () => {
  it('returns 204, then 404, and the sandbox is gone from every response', async () => {
    const killed = await api.ask('DELETE', `/sandboxes/${id}`);
    expect([killed.status, killed.text]).toEqual([204, '']);
    const again = await api.ask('DELETE', `/sandboxes/${id}`);
    expect([again.status, again.json]).toEqual([404, ended('killed')]);
    expect((await api.ask('GET', '/v2/sandboxes')).json).toEqual([]);
    expect(api.runner.sandboxes.size).toBe(0);
  });

  it('waits as long as a pause, resume, snapshot or fork that the runner must finish first', async () => {
    await api.ask('DELETE', `/sandboxes/${id}`);
    expect(lastCall()).toMatchObject({ call: 'killSandbox', request: { sandboxId: id } });
    expect(lastCall()?.timeoutMs).toBeGreaterThan(runnerStateMs - 1000);
  });

  it('returns 404 when the runner had lost it', async () => {
    api.runner.sandboxes.delete(id);
    expect((await api.ask('DELETE', `/sandboxes/${id}`)).status).toBe(404);
    expect(await api.records.sandboxes.find(id)).toMatchObject({ cause: 'lost' });
  });

  it('by ten at once succeeds exactly once', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => api.ask('DELETE', `/sandboxes/${id}`)));
    expect(answers.filter((answer) => answer.status === 204)).toHaveLength(1);
    expect(answers.filter((answer) => answer.status === 404)).toHaveLength(9);
  });

  it('leaves the row alone when the runner is away', async () => {
    api.runner.failure = new Error('boom');
    expect((await api.ask('DELETE', `/sandboxes/${id}`)).status).toBe(500);
    api.runner.failure = undefined;
    expect((await api.ask('DELETE', `/sandboxes/${id}`)).status).toBe(204);
  });
});

describe('the timeout', () => {
  const setTimeoutTo = (timeout: unknown) => api.ask('POST', `/sandboxes/${id}/timeout`, { body: { timeout } });

  it('shortens and lengthens the life', async () => {
    expect((await setTimeoutTo(10)).status).toBe(204);
    expect(lastCall()).toMatchObject({ call: 'setDeadline', request: { sandboxId: id, onlyExtend: false } });
    expect(await secondsLeft()).toBe(10);
    expect((await setTimeoutTo(1000)).status).toBe(204);
    expect(await secondsLeft()).toBe(1000);
    expect((await api.ask('GET', '/v2/sandboxes')).json).toMatchObject([
      { endAt: new Date(await endAtOf()).toISOString() },
    ]);
  });

  it('waits for a running step, like a kill', async () => {
    await setTimeoutTo(10);
    expect(lastCall()?.timeoutMs).toBeGreaterThan(runnerStateMs - 1000);
  });

  it('of 0 ends it at once', async () => {
    expect((await setTimeoutTo(0)).status).toBe(204);
    expect((await api.ask('GET', `/sandboxes/${id}`)).status).toBe(404);
    expect((await setTimeoutTo(0)).status).toBe(404);
  });

  it.each(['timeout', 'connect'])('by %s is limited to the maximum life, counted from the start', async (call) => {
    const startedAt = timestampFromMs(Date.now() - 50 * 60_000);
    id = api.runner.plant({ teamId: api.teamId, startedAt }).sandboxId;
    await api.restart();
    const answer = await api.ask('POST', `/sandboxes/${id}/${call}`, { body: { timeout: 3600 } });
    expect(answer.status).toBeLessThan(300);
    expect(Math.abs((await endAtOf()) - timestampMs(startedAt) - 3600_000)).toBeLessThan(2000);
  });

  it.each([[-1], [1.5], ['10'], [null], [2 ** 53], [undefined]])('refuses %j', async (timeout) => {
    expect((await setTimeoutTo(timeout)).status).toBe(400);
  });

  it("above the maximum is refused with E2B's message", async () => {
    expect((await setTimeoutTo(3601)).json).toEqual({ code: 400, message: 'Timeout cannot be greater than 1 hours' });
  });
});

describe('connect', () => {
  it.each(['/sandboxes', '/v2/sandboxes'])('through %s returns 200 and only lengthens the life', async (base) => {
    const shorter = await api.ask('POST', `${base}/${id}/connect`, { body: { timeout: 10 } });
    expect(shorter.status).toBe(200);
    expect(shorter.json).toMatchObject({ sandboxID: id, envdAccessToken: 'access-token' });
    expect(await secondsLeft()).toBe(100);
    await api.ask('POST', `${base}/${id}/connect`, { body: { timeout: 200, memory: true } });
    expect(await secondsLeft()).toBe(200);
  });

  it('through v2 treats no body, an empty one and one without a type as 300 s', async () => {
    expect((await api.ask('POST', `/v2/sandboxes/${id}/connect`)).status).toBe(200);
    expect(await secondsLeft()).toBe(300);
    expect((await api.ask('POST', `/v2/sandboxes/${id}/connect`, { body: {} })).status).toBe(200);
    expect((await api.ask('POST', `/v2/sandboxes/${id}/connect`, { body: '' })).status).toBe(200);
  });

  it('through v1 requires a timeout', async () => {
    expect((await api.ask('POST', `/sandboxes/${id}/connect`, { body: {} })).status).toBe(400);
    expect((await api.ask('POST', `/sandboxes/${id}/connect`)).status).toBe(400);
  });

  it('to an unknown one is 404', async () => {
    expect((await api.ask('POST', '/v2/sandboxes/ixyz/connect')).json).toEqual(notFound('ixyz'));
  });
});

describe('refreshes', () => {
  it.each([
    [undefined, 15],
    [{ duration: 600 }, 600],
  ])('with the body %j make the runner extend the life to %i s and never shorten it', async (body, seconds) => {
    expect((await api.ask('POST', `/sandboxes/${id}/refreshes`, { body })).status).toBe(204);
    expect(lastCall()).toMatchObject({ call: 'setDeadline', request: { sandboxId: id, onlyExtend: true } });
    expect(await secondsLeft()).toBe(seconds);
  });

  it('by more than an hour are refused', async () => {
    expect((await api.ask('POST', `/sandboxes/${id}/refreshes`, { body: { duration: 3601 } })).status).toBe(400);
  });
});

describe('the deadline', () => {
  it('ends the row when the runner stays silent for a second', async () => {
    await api.ask('POST', `/sandboxes/${id}/timeout`, { body: { timeout: 1 } });
    expect(timestampMs(api.runner.sandboxes.get(id)?.endAt ?? timestampFromMs(0))).toBeLessThan(Date.now() + 1001);
    await sleep(2100);
    expect((await api.ask('GET', '/v2/sandboxes')).json).toEqual([]);
    expect((await api.ask('GET', `/sandboxes/${id}`)).status).toBe(404);
  });
});

describe("another team's sandbox", () => {
  it('looks like an unknown one on every route', async () => {
    const routes = [
      ['GET', `/sandboxes/${id}`],
      ['DELETE', `/sandboxes/${id}`],
      ['POST', `/sandboxes/${id}/timeout`, { timeout: 1 }],
      ['POST', `/sandboxes/${id}/connect`, { timeout: 1 }],
      ['POST', `/v2/sandboxes/${id}/connect`],
      ['POST', `/sandboxes/${id}/refreshes`],
      ['POST', `/sandboxes/${id}/pause`],
      ['POST', `/sandboxes/${id}/resume`],
      ['POST', `/sandboxes/${id}/snapshots`],
      ['POST', `/sandboxes/${id}/fork`],
      ['GET', `/sandboxes/${id}/metrics`],
      ['GET', `/sandboxes/${id}/logs`],
      ['GET', `/v2/sandboxes/${id}/logs`],
    ] as const;
    for (const [method, path, body] of routes) {
      const answer = await api.ask(method, path, { key: api.otherKey, body });
      expect([method, path, answer.status, answer.json]).toEqual([method, path, 404, notFound()]);
    }
    const batch = await api.ask('GET', `/sandboxes/metrics?sandbox_ids=${id}`, { key: api.otherKey });
    expect(batch.json).toEqual({ sandboxes: {} });
    expect((await api.ask('GET', '/v2/sandboxes', { key: api.otherKey })).json).toEqual([]);
    expect(api.runner.sandboxes.has(id)).toBe(true);
  });
});
