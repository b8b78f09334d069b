import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { Cache } from './create-cache.ts';
import { startReadAhead } from './read-ahead.ts';
import type { ReadAheadOptions } from './read-ahead.ts';

function start(more: Partial<ReadAheadOptions> = {}) {
  const clock = { now: 0 };
  const read: string[] = [];
  const state = { atOnce: 0, most: 0, hangs: false };
  const cache: Pick<Cache, 'readAhead'> = {
    async readAhead(key, signal) {
      read.push(key);
      state.atOnce += 1;
      state.most = Math.max(state.most, state.atOnce);
      if (state.hangs) await new Promise((resolve) => signal.addEventListener('abort', resolve));
      else await sleep(1);
      state.atOnce -= 1;
    },
  };
  const order = { ahead: 8, idleMs: 100, now: () => clock.now };
  const ahead = startReadAhead({ cache: cache as Cache, notes: undefined, order, ...more });
  onTestFinished(() => ahead[Symbol.dispose]());
  const run = (members: readonly string[], group = 'a/g'): void => {
    clock.now += 1000;
    for (const member of members) ahead.noted(`${group}/${member}`);
  };
  return { read, state, run, clock };
}

test('what the last run read next is read ahead, four at once', async () => {
  const { read, run, state } = start();
  const members = Array.from({ length: 20 }, (_, at) => String(at));
  run(members);
  expect(read).toEqual([]);
  run(['0']);
  await sleep(50);
  expect(read).toEqual(members.slice(1, 9).map((member) => `a/g/${member}`));
  expect(state.most).toBe(4);
});

test('what waits is bounded while the store hangs', async () => {
  const { read, run, state } = start();
  state.hangs = true;
  for (let group = 0; group < 50; group++) run(['0', '1', '2', '3', '4', '5', '6', '7', '8'], `g${group}`);
  for (let group = 0; group < 50; group++) run(['0'], `g${group}`);
  await sleep(20);
  expect(read).toHaveLength(4);
});

test('an order from elsewhere is used, and what is none is ignored', async () => {
  const asked: string[] = [];
  const notes = {
    async readNote(name: string) {
      asked.push(name);
      if (name === 'a/bad') return await Promise.resolve(Buffer.from('{'));
      if (name === 'a/away') throw new Error('away');
      return await Promise.resolve(Buffer.from(JSON.stringify(['0', '1', '2', '3'])));
    },
    writeNote: () => undefined,
  };
  const { read, run } = start({ notes });
  run(['0']);
  run(['0'], 'a/bad');
  run(['0'], 'a/away');
  await sleep(10);
  run(['0']);
  await sleep(10);
  expect(asked).toEqual(['a/g', 'a/bad', 'a/away']);
  expect(read).toEqual(['a/g/1', 'a/g/2', 'a/g/3']);
});
