import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createFairTurns } from './fair-turns.ts';
import type { FairTurns, Sender } from './fair-turns.ts';

/** A server whose requests each take 3 ms of a clock that only they move: two fill a turn. */
function createServer() {
  let now = 0;
  const begun: string[] = [];
  const turns: FairTurns = createFairTurns(() => now);
  return {
    begun,
    send: (name: string, sender: Sender): void =>
      turns.take(sender, () => {
        begun.push(name);
        // Requests go on after what they wait for in microtasks.
        void Promise.resolve().then(() => void (now += 3));
      }),
    /** What arrives in one turn arrives in calls of its own, as from sockets. */
    arrive: async (): Promise<void> => await new Promise((resolve) => process.nextTick(() => queueMicrotask(resolve))),
    sent: async (count: number): Promise<readonly string[]> => {
      for (let turn = 0; begun.length < count && turn < 1000; turn += 1) await nextTurn();
      return begun;
    },
  };
}

const of = (owner: string, connection: string): Sender => ({ owner, connection });

test('a request behind a hundred of another connection is among the next', async () => {
  const server = createServer();
  for (let n = 0; n < 100; n += 1) {
    server.send(`flood ${n}`, of('key', 'one'));
    await server.arrive();
  }
  server.send('other', of('key', 'two'));
  const begun = await server.sent(101);
  expect(begun.indexOf('other')).toBeLessThanOrEqual(4);
  expect(begun.filter((name) => name !== 'other')).toEqual(Array.from({ length: 100 }, (_, n) => `flood ${n}`));
});

test('an owner of a hundred connections has the share of one', async () => {
  const server = createServer();
  for (let n = 0; n < 100; n += 1) {
    server.send(`flood ${n}`, of('key', `connection ${n}`));
    await server.arrive();
  }
  for (const name of ['first', 'second', 'third']) server.send(name, of('other key', 'one'));
  const begun = await server.sent(103);
  expect(begun.length).toBe(103);
  for (const [place, name] of ['first', 'second', 'third'].entries())
    expect(begun.indexOf(name)).toBeLessThanOrEqual(4 + 2 * place);
});

test('a request that comes now and then is before those of connections that always have some waiting', async () => {
  const server = createServer();
  for (let n = 0; n < 10; n += 1) {
    for (let connection = 0; connection < 20; connection += 1) {
      server.send(`flood ${n} ${connection}`, of('key', `connection ${connection}`));
      await server.arrive();
    }
  }
  for (const name of ['first', 'second', 'third']) {
    const before = (await server.sent(server.begun.length + 15)).length;
    server.send(name, of('key', 'calm'));
    const begun = await server.sent(before + 5);
    expect(begun.indexOf(name)).toBeGreaterThan(0);
    expect(begun.indexOf(name) - before).toBeLessThanOrEqual(3);
  }
});

test('no connection waits for ever behind new ones', async () => {
  const server = createServer();
  for (let n = 0; n < 20; n += 1) server.send(`steady ${n}`, of('key', 'steady'));
  await server.arrive();
  for (let n = 0; n < 300; n += 1) {
    server.send(`new ${n}`, of('key', `connection ${n}`));
    await nextTurn();
  }
  expect(server.begun.filter((name) => name.startsWith('steady')).length).toBeGreaterThan(10);
});

test('requests of an idle server begin when they arrive', async () => {
  const server = createServer();
  for (let n = 0; n < 3; n += 1) {
    server.send(String(n), of('key', 'one'));
    expect(server.begun).toHaveLength(n + 1);
    await nextTurn();
    await nextTurn();
  }
});
