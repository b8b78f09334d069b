import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { helloBytes } from '../testing/client-hello.ts';
import { addressRecord } from '../testing/dns-stand-in.ts';
import { openLoopbackLab, readAll } from '../testing/loopback-lab.ts';
import type { LoopbackLab } from '../testing/loopback-lab.ts';

let lab: LoopbackLab;
let web: number;
/** A server that speaks first, then echoes. */
let greeter: number;

/** Each test has a sandbox of its own. */
let last = 0;
const newSandbox = (): string => `127.11.0.${(last += 1)}`;

beforeAll(async () => {
  lab = await openLoopbackLab({ limits: { firstBytesMs: 400, connections: 1500, teamConnections: 1100 } });
  lab.dns.behave = ({ name }) => {
    if (name === 'inside.example') return { answers: [addressRecord(name, '127.0.0.1')] };
    return name === 'none.example' ? { rcode: 3 } : { answers: [addressRecord(name, '127.50.0.1')] };
  };
  web = await lab.serve((socket) => {
    socket.on('data', (bytes: Buffer) => socket.write(`HTTP/1.1 200 OK\r\nX-Got: ${bytes.length}\r\n\r\n`));
    socket.on('end', () => socket.end());
  });
  greeter = await lab.serve((socket) => {
    socket.write('220 hello\r\n');
    socket.pipe(socket);
  });
});
afterAll(async () => await lab[Symbol.asyncDispose]());

const request = (host: string): string => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const closed = { denyOut: ['0.0.0.0/0'] };

/** Sends text and returns what comes back before the end of the stream, or the error. */
async function talk(from: string, to: string, text: string | Buffer): Promise<string> {
  const socket = lab.connect(from, to);
  socket.end(text);
  return await readAll(socket);
}

test('a connection of an unknown address is reset', async () => {
  expect(await talk(newSandbox(), `127.50.0.1:${greeter}`, '')).toBe('ECONNRESET');
});

test('an open policy lets a server speak first, and both directions end one after the other', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { limits: { bytes: 1_000_000n } });
  expect(await talk(from, `127.50.0.1:${greeter}`, 'ping')).toBe('220 hello\r\nping');
  expect(await lab.record((record) => record.sandboxId === `sb-${from}`)).toMatchObject({
    ...{ protocol: 'tcp', address: '127.50.0.1', port: greeter, isAllowed: true, reason: '', rule: '' },
    ...{ bytesSent: 4, bytesReceived: 15 },
  });
});

test('an address that is allowed is reached, another one is reset and recorded', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { ...closed, allowOut: [`127.50.0.1:${greeter}`], limits: { bytes: 1_000_000n } });
  expect(await talk(from, `127.50.0.1:${greeter}`, '')).toBe('220 hello\r\n');
  expect(await talk(from, `127.50.0.1:${web}`, request('a.example'))).toBe('ECONNRESET');
  const refused = await lab.record((record) => record.sandboxId === `sb-${from}` && !record.isAllowed);
  expect(refused).toMatchObject({ reason: 'denied', rule: '0.0.0.0/0', address: '127.50.0.1', port: web });
});

test('an allowed name is reached at its own address, whatever address the sandbox chose', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { ...closed, allowOut: [`*.example:${web}`] });
  expect(await talk(from, `127.50.0.99:${web}`, request('a.example'))).toMatch(/^HTTP\/1.1 200/);
  const record = await lab.record(({ sandboxId }) => sandboxId === `sb-${from}`);
  expect(record).toMatchObject({
    protocol: 'http',
    name: 'a.example',
    address: '127.50.0.1',
    rule: `*.example:${web}`,
  });
});

test('names that connections name count as look-ups that could carry data, if no entry names them in full', async () => {
  const from = newSandbox();
  const name = (n: number): string => `0123456789abcdef${String(n).padStart(16, '0')}.zone.example`;
  await lab.setPolicy(from, { ...closed, allowOut: [`${name(0)}:${web}`, `*.example:${web}`] });
  const answers: string[] = [];
  for (let n = 1; n <= 33; n += 1) answers.push(await talk(from, `127.50.0.1:${web}`, request(name(n))));
  expect(answers.filter((answer) => answer.startsWith('HTTP/1.1 200'))).toHaveLength(30);
  expect(answers.slice(30)).toEqual(['ECONNRESET', 'ECONNRESET', 'ECONNRESET']);
  const refused = await lab.record((record) => record.sandboxId === `sb-${from}` && !record.isAllowed);
  expect(refused).toMatchObject({ protocol: 'http', name: name(31), reason: 'tunnel_suspected' });
  // What came before, and what an entry names in full, is still reached.
  for (const known of [1, 0])
    expect(await talk(from, `127.50.0.1:${web}`, request(name(known)))).toMatch(/^HTTP\/1.1 200/);
});

test('a TLS name is found in a hello that arrives byte by byte', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { ...closed, allowOut: [`a.example:${web}`] });
  const socket = lab.connect(from, `127.50.0.99:${web}`);
  const hello = helloBytes({ names: ['a.example'], records: [5, 9] });
  const answer = readAll(socket);
  for (const byte of hello) {
    socket.write(Buffer.from([byte]));
    await sleep(1);
  }
  socket.end();
  expect(await answer).toMatch(`X-Got: ${hello.length}`);
  const record = await lab.record(({ sandboxId }) => sandboxId === `sb-${from}`);
  expect(record).toMatchObject({ protocol: 'tls', name: 'a.example', bytesSent: hello.length });
});

test.each<[string, string | Buffer, string]>([
  ['another name in SNI', helloBytes({ names: ['b.test'] }), 'denied'],
  ['another name in Host', request('b.test'), 'denied'],
  ['a name in the path only', request('203.0.113.1/a.example'), 'no_name'],
  ['TLS without a name', helloBytes({}), 'no_name'],
  ['two names in SNI', helloBytes({ names: ['a.example', 'b.test'] }), 'no_name'],
  ['two Host headers', 'GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.test\r\n\r\n', 'no_name'],
  ['HTTP/2 without TLS', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'no_name'],
  ['another protocol', 'SSH-2.0-x\r\n', 'no_name'],
  ['no bytes at all', '', 'no_name'],
  ['a name that resolves to a private address', request('inside.example'), 'forbidden_address'],
  ['a name that does not exist', request('none.example'), 'name_unknown'],
])('%s is refused', async (_, bytes, reason) => {
  const from = newSandbox();
  await lab.setPolicy(from, { ...closed, allowOut: [`*.example:${web}`] });
  expect(await talk(from, `127.50.0.1:${web}`, bytes)).toBe('ECONNRESET');
  const record = await lab.record(({ sandboxId }) => sandboxId === `sb-${from}`);
  expect(record.reason).toBe(reason);
});

test('first bytes that come too slowly are refused in time', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { ...closed, allowOut: [`a.example:${web}`] });
  const socket = lab.connect(from, `127.50.0.1:${web}`);
  const answer = readAll(socket);
  const started = performance.now();
  const drip = setInterval(() => socket.write('x'), 50);
  expect(await answer).toBe('ECONNRESET');
  clearInterval(drip);
  expect(performance.now() - started).toBeLessThan(1500);
});

test('a further request of the same connection to another host is refused', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { ...closed, allowOut: [`a.example:${web}`] });
  const socket = lab.connect(from, `127.50.0.1:${web}`);
  socket.write(request('a.example'));
  await once(socket, 'data');
  socket.write(request('a.example'));
  await once(socket, 'data');
  socket.write(request('b.example'));
  expect(await readAll(socket)).toBe('ECONNRESET');
  const record = await lab.record(({ sandboxId }) => sandboxId === `sb-${from}`);
  expect(record).toMatchObject({ isAllowed: true, reason: 'name_mismatch' });
});

test('an address that is forbidden to everybody is refused, even if the policy allows it', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { ...closed, allowOut: ['127.0.0.1'], limits: { bytes: 1000n } });
  expect(await talk(from, `127.0.0.1:${greeter}`, '')).toBe('ECONNRESET');
  const record = await lab.record(({ sandboxId }) => sandboxId === `sb-${from}`);
  expect(record.reason).toBe('forbidden_address');
});

test('a destination that does not listen gives a reset', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { limits: { bytes: 1000n } });
  expect(await talk(from, '127.50.0.1:1', 'x')).toBe('ECONNRESET');
  const record = await lab.record(({ sandboxId }) => sandboxId === `sb-${from}`);
  expect(record.reason).toBe('upstream_failed');
});

async function openConnection(from: string, port = greeter): Promise<Socket> {
  const socket = lab.connect(from, `127.50.0.1:${port}`);
  await once(socket, 'data');
  return socket;
}

test('a policy that changes ends what it no longer allows, and only that', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { limits: { bytes: 1_000_000n } });
  const [ends, stays] = [await openConnection(from), await openConnection(from)];
  await lab.setPolicy(from, { denyOut: ['127.51.0.0/16'], limits: { bytes: 1_000_000n } });
  stays.write('still');
  expect(String(await once(stays, 'data'))).toBe('still');
  ends.write('still');
  await once(ends, 'data');
  const answer = readAll(ends);
  const started = performance.now();
  await lab.setPolicy(from, { allowInternetAccess: false, limits: { bytes: 1_000_000n } });
  expect(await answer).toBe('ECONNRESET');
  expect(performance.now() - started).toBeLessThan(250);
  const record = await lab.record(({ sandboxId, reason }) => sandboxId === `sb-${from}` && reason !== '');
  expect(record).toMatchObject({ reason: 'policy_changed', isAllowed: true });
});

test('a connection that was never asked for its name ends when names begin to matter', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { limits: { bytes: 1_000_000n } });
  const answer = readAll(await openConnection(from));
  await lab.setPolicy(from, { ...closed, allowOut: [`*.example:${greeter}`] });
  expect(await answer).toBe('ECONNRESET');
});

test('a sandbox that is gone loses its connections, and the next one at its address has none of its counts', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { limits: { bytes: 20n } });
  const answer = readAll(await openConnection(from));
  await lab.removePolicy(from);
  expect(await answer).toBe('ECONNRESET');
  expect(await talk(from, `127.50.0.1:${greeter}`, '')).toBe('ECONNRESET');
  await lab.setPolicy(from, { limits: { bytes: 20n } }, { sandboxId: 'next' });
  expect(await talk(from, `127.50.0.1:${greeter}`, '')).toBe('220 hello\r\n');
});

test('the byte limit ends a connection and refuses the next one', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { limits: { bytes: 100n } });
  const socket = await openConnection(from);
  socket.write('x'.repeat(100));
  expect(await readAll(socket)).toBe('ECONNRESET');
  expect(await talk(from, `127.50.0.1:${greeter}`, '')).toBe('ECONNRESET');
  const records = [true, false].map((isAllowed) =>
    lab.record((record) => record.sandboxId === `sb-${from}` && record.isAllowed === isAllowed),
  );
  for (const record of await Promise.all(records)) expect(record.reason).toBe('byte_limit');
});

test('the limit of open connections counts only open ones', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { limits: { connections: 2 } });
  const [one] = [await openConnection(from), await openConnection(from)];
  expect(await talk(from, `127.50.0.1:${greeter}`, '')).toBe('ECONNRESET');
  one.destroy();
  await lab.record(({ sandboxId, isAllowed }) => sandboxId === `sb-${from}` && isAllowed);
  expect(await talk(from, `127.50.0.1:${greeter}`, '')).toBe('220 hello\r\n');
});

test('the limit of connections per second refuses the rest', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { limits: { connectionsPerSecond: 3 } });
  const answers = await Promise.all(
    Array.from({ length: 12 }, async () => await talk(from, `127.50.0.1:${greeter}`, '')),
  );
  const good = answers.filter((answer) => answer.startsWith('220')).length;
  expect(good).toBeGreaterThanOrEqual(3);
  expect(good).toBeLessThanOrEqual(5);
  expect((await lab.record((record) => record.reason === 'rate_limit')).sandboxId).toBe(`sb-${from}`);
});

test('the limit of bytes per second slows both directions down', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { limits: { bytesPerSecond: 200_000n } });
  const socket = await openConnection(from);
  let received = 0;
  socket.on('data', (bytes: Buffer) => (received += bytes.length));
  const started = performance.now();
  socket.end(Buffer.alloc(200_000));
  await once(socket, 'end');
  const seconds = (performance.now() - started) / 1000;
  expect(received).toBe(200_000);
  expect(seconds).toBeGreaterThan(0.7);
  expect(seconds).toBeLessThan(3);
});

test('a peer that never reads does not fill the memory, and a reset of one side reaches the other', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { limits: { connections: 100 } });
  const state = { written: 0, reset: '' };
  const block = Buffer.alloc(64 * 1024);
  const flood = await lab.serve((socket) => {
    const push = (): void => {
      while (state.written < 512 * 2 ** 20) {
        state.written += block.length;
        if (!socket.write(block)) return;
      }
    };
    socket.on('drain', push).on('error', (error: NodeJS.ErrnoException) => (state.reset = error.code ?? ''));
    push();
  });
  const socket = lab.connect(from, `127.50.0.1:${flood}`);
  socket.pause();
  await sleep(700);
  expect(state.written).toBeLessThan(40 * 2 ** 20);
  socket.resetAndDestroy();
  await lab.record(({ sandboxId }) => sandboxId === `sb-${from}`);
  await sleep(50);
  expect(state.reset).toMatch(/ECONNRESET|EPIPE/);
});

test('a large upload arrives whole and in order', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { limits: { connections: 100 } });
  const bytes = Buffer.alloc(20 * 2 ** 20, 'abcdefghijklmnopqrstuvwxy');
  const parts: Buffer[] = [];
  const sink = await lab.serve((socket) => {
    socket.on('data', (part: Buffer) => parts.push(part));
    socket.on('end', () => socket.end('done'));
  });
  expect(await talk(from, `127.50.0.1:${sink}`, bytes)).toBe('done');
  expect(Buffer.concat(parts).equals(bytes)).toBe(true);
});

test('one sandbox cannot take more than its share of connections', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { limits: { bytes: 1_000_000n } });
  const before = lab.egress.openConnections();
  const sockets = Array.from({ length: 1100 }, () => lab.connect(from, `127.50.0.1:${greeter}`));
  await lab.record((record) => record.sandboxId === `sb-${from}` && record.reason !== '');
  expect(lab.egress.openConnections() - before).toBeLessThanOrEqual(1024);
  const other = newSandbox();
  await lab.setPolicy(other, { limits: { bytes: 1_000_000n } });
  expect(await talk(other, `127.50.0.1:${greeter}`, '')).toBe('220 hello\r\n');
  const further = Array.from({ length: 300 }, () => lab.connect(other, `127.50.0.1:${greeter}`));
  await lab.record((record) => record.sandboxId === `sb-${other}` && record.reason === 'connection_limit');
  expect(lab.egress.openConnections() - before).toBeLessThanOrEqual(1100);
  for (const socket of [...sockets, ...further]) socket.destroy();
});
