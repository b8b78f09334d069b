import { expect, test } from 'vitest';
import { connectionFrom } from '../config.ts';
import { startServer } from '../testing/start-server.ts';
import { readLogs } from './follow.ts';

interface Entry {
  readonly timestamp: string;
  readonly level: 'info';
  readonly message: string;
}

const entry = (at: number, message: string): Entry => ({
  timestamp: new Date(at).toISOString(),
  level: 'info',
  message,
});

/** Reads a log, of which each answer shows the state at its time, until the last state was seen. */
async function readStates(states: readonly (readonly Entry[])[]): Promise<readonly string[]> {
  await using server = await startServer(({ line }) => {
    const cursor = Number(new URL(line.split(' ')[1] ?? '', 'http://x').searchParams.get('cursor'));
    const state = states[Math.min(server.seen.length, states.length) - 1] ?? [];
    return {
      status: 200,
      body: { logs: state.filter(({ timestamp }) => Date.parse(timestamp) >= cursor).slice(0, 1000) },
    };
  });
  const ending = new AbortController();
  const connection = connectionFrom({ apiUrl: server.url, apiKey: 'key', signal: ending.signal });
  const messages: string[] = [];
  const read = async (): Promise<void> => {
    for await (const { message } of readLogs(connection, 'i1', { follow: true })) {
      messages.push(message);
      if (message === 'last') return;
    }
  };
  await read();
  return messages;
}

test('a followed log misses nothing when entries that were read have been dropped', async () => {
  const states = [
    [entry(1, 'a'), entry(2, 'b'), entry(2, 'c')],
    [entry(3, 'd'), entry(3, 'e'), entry(4, 'f')],
    [entry(4, 'f'), entry(4, 'g'), entry(5, 'last')],
  ];
  expect(await readStates(states)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'last']);
});

test('more entries of one millisecond than a page has do not stop a followed log', async () => {
  const many = Array.from({ length: 1500 }, (_, index) => entry(7, String(index)));
  const messages = await readStates([[...many, entry(8, 'last')]]);
  expect(messages).toEqual([...many.slice(0, 1000).map(({ message }) => message), 'last']);
});
