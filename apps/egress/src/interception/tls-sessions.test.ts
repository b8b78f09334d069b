import type { Server, TLSSocket } from 'node:tls';
import { expect, test } from 'vitest';
import { createTlsSessions } from './tls-sessions.ts';
import { openWorld } from './testing/intercepted-world.ts';
import type { WorldOptions } from './testing/intercepted-world.ts';
import { ask } from './testing/request.ts';

function createClockAt(start: number): { now: () => number; set: (ms: number) => void } {
  let ms = start;
  return { now: () => ms, set: (next) => void (ms = next) };
}

test('a session is found by the sandbox and the host that it belongs to, and by no other', () => {
  const sessions = createTlsSessions(createClockAt(0));
  sessions.keep('one', 'a.example:443', Buffer.from('s'));
  expect(sessions.find('one', 'a.example:443')?.toString()).toBe('s');
  expect(sessions.find('two', 'a.example:443')).toBeUndefined();
  expect(sessions.find('one', 'b.example:443')).toBeUndefined();
  expect(sessions.find('one', 'a.example:8443')).toBeUndefined();
});

test('a session is forgotten after ten minutes', () => {
  const clock = createClockAt(0);
  const sessions = createTlsSessions(clock);
  sessions.keep('one', 'a.example:443', Buffer.from('s'));
  clock.set(599_999);
  expect(sessions.find('one', 'a.example:443')).toBeDefined();
  clock.set(600_000);
  expect(sessions.find('one', 'a.example:443')).toBeUndefined();
});

test('a sandbox with many hosts displaces its own sessions and not those of others', () => {
  const sessions = createTlsSessions(createClockAt(0));
  sessions.keep('quiet', 'a.example:443', Buffer.from('s'));
  for (let host = 0; host < 60; host += 1) sessions.keep('loud', `h${host}.example:443`, Buffer.from('s'));
  expect(sessions.find('quiet', 'a.example:443')).toBeDefined();
  expect(sessions.find('loud', 'h9.example:443')).toBeUndefined();
  expect(sessions.find('loud', 'h10.example:443')).toBeDefined();
});

test('a session that is larger than those of honest hosts is not kept, and replaces none', () => {
  const sessions = createTlsSessions(createClockAt(0));
  sessions.keep('one', 'a.example:443', Buffer.alloc(16 * 1024));
  sessions.keep('one', 'b.example:443', Buffer.alloc(16 * 1024 + 1));
  expect(sessions.find('one', 'a.example:443')).toBeDefined();
  expect(sessions.find('one', 'b.example:443')).toBeUndefined();
});

test('when all places are taken, the sandbox that was quiet longest loses its oldest session', () => {
  const sessions = createTlsSessions(createClockAt(0));
  for (let count = 0; count < 2000; count += 1)
    sessions.keep(`s${Math.floor(count / 50)}`, `h${count % 50}.example:443`, Buffer.from('s'));
  sessions.keep('s0', 'h0.example:443', Buffer.from('again'));
  sessions.keep('new', 'a.example:443', Buffer.from('s'));
  expect(sessions.find('s1', 'h0.example:443')).toBeUndefined();
  expect(sessions.find('s1', 'h1.example:443')).toBeDefined();
  expect(sessions.find('s0', 'h0.example:443')?.toString()).toBe('again');
  expect(sessions.find('new', 'a.example:443')).toBeDefined();
});

async function resumptions(options: Partial<WorldOptions>): Promise<{ statuses: number[]; resumed: boolean[] }> {
  const resumed: boolean[] = [];
  await using world = await openWorld({
    answer: (_request, response) => void response.end('hi'),
    onServer: (server) =>
      void (server as unknown as Server).on('secureConnection', (socket: TLSSocket) =>
        resumed.push(socket.isSessionReused()),
      ),
    ...options,
  });
  const statuses: number[] = [];
  for (let count = 0; count < 3; count += 1) statuses.push((await ask(world)).status);
  return { statuses, resumed };
}

test('further connections of a sandbox to a host resume the session of the first', async () => {
  expect(await resumptions({})).toEqual({ statuses: [200, 200, 200], resumed: [false, true, true] });
});

test('a host whose certificate is not valid is verified, and refused, each time', async () => {
  const { statuses, resumed } = await resumptions({ certifiedName: 'other.example.com' });
  expect(statuses).toEqual([502, 502, 502]);
  expect(resumed).not.toContain(true);
});
