import { once } from 'node:events';
import { connect } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApiKey } from '@soulbox/storage';
import type { ApiKeyOptions } from '@soulbox/storage';
import { startTestApi, until } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

/** A stream ends within this time after its key. Milliseconds. */
const withinMs = 2000;

let ahead: number;
let api: TestApi;
let id: string;
beforeEach(async () => {
  ahead = 0;
  api = await startTestApi({ clock: { now: () => Date.now() + ahead } });
  const made = await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base', timeout: 600 } });
  id = (made.json as { sandboxID: string }).sandboxID;
});
afterEach(() => api[Symbol.asyncDispose]());

const make = async (options: ApiKeyOptions = {}) => {
  const { key, record } = await createApiKey(api.records, { id: api.teamId }, 'k', options);
  return { key: key.reveal(), revoke: async () => await api.records.apiKeys.remove(api.teamId, record.id) };
};

interface Event {
  readonly type: string;
  readonly code?: number;
  readonly message?: string;
}

/** A program that runs until its stream ends. `events` grows as lines arrive. */
async function run(key: string) {
  const answer = await fetch(`${api.url}/sandboxes/${id}/run`, {
    method: 'POST',
    headers: { 'x-api-key': key, 'content-type': 'application/json', accept: 'application/x-ndjson' },
    body: JSON.stringify({ code: 'for ever', timeout: 600 }),
  });
  const events: Event[] = [];
  const ended = (async () => {
    const chunks = (answer.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream());
    for await (const text of chunks)
      for (const line of text.split('\n')) if (line !== '') events.push(JSON.parse(line) as Event);
  })();
  await until(() => events.some(({ type }) => type === 'stdout'));
  return { events, ended };
}

describe('a streamed run', () => {
  it('ends with a clear error when its key is revoked, and others go on', async () => {
    const [one, two] = [await make(), await make()];
    const [ending, staying] = [await run(one.key), await run(two.key)];
    await one.revoke();
    const revokedAt = Date.now();
    await ending.ended;
    expect(Date.now() - revokedAt).toBeLessThan(withinMs);
    const message = 'Unauthorized, the API key was revoked.';
    expect(ending.events.at(-1)).toEqual({ type: 'error', code: 401, message });
    expect(staying.events.at(-1)?.type).toBe('stdout');
    await two.revoke();
    await staying.ended;
  });

  it('ends when its key expires', async () => {
    const { key } = await make({ expiresAt: Date.now() + 60_000 });
    const { events, ended } = await run(key);
    ahead = 60_000;
    await ended;
    expect(events.at(-1)).toMatchObject({
      type: 'error',
      code: 401,
      message: expect.stringMatching(/expired/) as string,
    });
  });

  it('also ends when a command of the host, beside the server, revokes the key', async () => {
    const { key } = await make();
    const { events, ended } = await run(key);
    const db = new DatabaseSync(`${api.folder}/records.sqlite`);
    db.exec(`DELETE FROM api_keys WHERE name = 'k'`);
    db.close();
    await ended;
    expect(events.at(-1)).toMatchObject({ type: 'error', code: 401 });
  });
});

it('a run without a stream returns 401 when its key is revoked', async () => {
  const { key, revoke } = await make();
  const answer = api.ask('POST', `/sandboxes/${id}/run`, { key, body: { code: 'for ever' } });
  await until(async () =>
    (await api.records.apiKeys.list(api.teamId)).some(({ name, lastUsedAt }) => name === 'k' && lastUsedAt),
  );
  await revoke();
  expect((await answer).json).toEqual({ code: 401, message: 'Unauthorized, the API key was revoked.' });
});

it('a list that its client does not read is cut off when the key is revoked', async () => {
  const metadata = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`k${n}`, 'x'.repeat(1000)]));
  for (let n = 0; n < 400; n++)
    await api.records.sandboxes.put(
      {
        ...{ id: `i${String(n).padStart(20, '0')}`, teamId: api.teamId, templateId: 'tbase', alias: 'base', metadata },
        ...{ startedAt: n, endAt: Date.now() + 1e6, cpuCount: 1, memoryMb: 1, diskSizeMb: 1, envdVersion: '1' },
        network: {
          allowInternetAccess: undefined,
          allowOut: [],
          denyOut: [],
          allowPublicTraffic: undefined,
          maskRequestHost: undefined,
        },
        lifecycle: { autoResume: false, onTimeout: 'kill', idleTimeoutSeconds: 0 },
        volumes: [],
        ...{ state: 'running', stateSince: n, executionStartedAt: n, cause: 'request', isolation: 'container' },
        ...{ createdBy: '', creationId: '' },
      } as never,
      Date.now(),
    );
  const { key, revoke } = await make();
  const { hostname, port } = new URL(api.url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.write(`GET /sandboxes HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\n\r\n`);
  let text = '';
  socket.once('data', (chunk: Buffer) => {
    text += chunk.toString();
    socket.pause();
  });
  socket.on('error', () => undefined);
  await until(() => text !== '');
  await revoke();
  const closed = once(socket, 'close');
  await new Promise((resolve) => setTimeout(resolve, withinMs));
  socket.on('data', (chunk: Buffer) => (text += chunk.toString())).resume();
  await closed;
  expect(text).toMatch(/^HTTP\/1\.1 200/);
  expect(text).not.toMatch(/0\r\n\r\n$/);
});
