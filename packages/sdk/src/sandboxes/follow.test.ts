import { expect, test } from 'vitest';
import { connectionFrom } from '../config.ts';
import { startServer } from '../testing/start-server.ts';
import { readEvents, readLogs, readMetrics } from './follow.ts';

const entry = (at: number, message: string): object => ({
  timestamp: new Date(at).toISOString(),
  level: 'info',
  message,
});

async function* bytes(...lines: readonly object[]): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  for (const line of lines) yield Buffer.from(`${JSON.stringify(line)}\n`);
}

/** Each request gets the next stream, which then breaks off. */
async function serve(streams: readonly (readonly object[])[]) {
  const left = [...streams];
  const server = await startServer(() => ({
    status: 200,
    headers: { 'content-type': 'application/x-ndjson' },
    body: bytes(...(left.shift() ?? [])),
  }));
  const connection = connectionFrom({ apiUrl: server.url, apiKey: 'key' });
  return { server, connection, asked: () => server.seen.map(({ line }) => line.split('?')[1] ?? '') };
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const read: T[] = [];
  for await (const item of items) read.push(item);
  return read;
}

test('a followed log continues after the last entry that was read, and ends with the sandbox', async () => {
  const { server, connection, asked } = await serve([
    [
      { log: entry(1, 'a'), cursor: 'b-1-1' },
      { log: entry(1, 'b'), cursor: 'b-2-1' },
    ],
    [{ log: entry(0, 'late'), cursor: 'b-3-1' }, { ended: true }],
  ]);
  await using _ = server;
  const options = { follow: true, start: new Date(1), level: 'info' } as const;
  const entries = await all(readLogs(connection, 'i1', options));
  expect(entries.map(({ message }) => message)).toEqual(['a', 'b', 'late']);
  expect(asked()).toEqual(['cursor=1&level=info', 'cursor=1&level=info&after=b-2-1']);
});

test('followed metrics and events continue after the last one that was read', async () => {
  const { server, connection, asked } = await serve([
    [{ point: { timestampUnix: 60 } }],
    [{ point: { timestampUnix: 120 } }, { ended: true }],
    [{ event: { sequence: 5 } }],
    [{ event: { sequence: 9 } }, { ended: true }],
  ]);
  await using _ = server;
  const points = await all(readMetrics(connection, 'i1', { follow: true, start: new Date(60_000), stepSeconds: 60 }));
  expect(points.map(({ timestampUnix }) => timestampUnix)).toEqual([60, 120]);
  const events = await all(readEvents(connection, undefined, { follow: true, after: 4 }));
  expect(events.map(({ sequence }) => sequence)).toEqual([5, 9]);
  expect(asked()).toEqual(['start=60&step=60', 'start=120&step=60', 'after=4', 'after=5']);
});

test('leaving the loop, or the signal, ends a followed list at once', async () => {
  const { server, connection } = await serve([[{ log: entry(1, 'a'), cursor: 'b-1-1' }]]);
  await using _ = server;
  for await (const { message } of readLogs(connection, 'i1', { follow: true })) {
    expect(message).toBe('a');
    break;
  }
  const aborted = connectionFrom({ apiUrl: server.url, apiKey: 'key', signal: AbortSignal.abort() });
  await expect(all(readLogs(aborted, 'i1', { follow: true }))).rejects.toMatchObject({ reason: 'aborted' });
  const timed = connectionFrom({ apiUrl: server.url, apiKey: 'key', signal: AbortSignal.timeout(1) });
  await new Promise((resolve) => setTimeout(resolve, 20));
  const end = { name: 'SoulBoxError', code: 'canceled', reason: 'aborted' };
  await expect(all(readLogs(timed, 'i1', { follow: true }))).rejects.toMatchObject(end);
});

test('more entries of one millisecond than a page has do not stop a log that is read once', async () => {
  const many = [
    ...Array.from({ length: 1500 }, (_, index) => ({ at: 7, message: String(index) })),
    { at: 8, message: 'last' },
  ];
  await using server = await startServer(({ line }) => {
    const cursor = Number(new URL(line.split(' ')[1] ?? '', 'http://x').searchParams.get('cursor'));
    const logs = many.filter(({ at }) => at >= cursor).slice(0, 1000);
    return { status: 200, body: { logs: logs.map(({ at, message }) => entry(at, message)) } };
  });
  const connection = connectionFrom({ apiUrl: server.url, apiKey: 'key' });
  const messages = (await all(readLogs(connection, 'i1', {}))).map(({ message }) => message);
  expect(messages).toEqual([...many.slice(0, 1000).map(({ message }) => message), 'last']);
});
