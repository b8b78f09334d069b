/** @module-tag violation */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import ssh2 from 'ssh2';
import type { Client, Connection } from 'ssh2';
import { socketOf } from './library.ts';
import { startTestSsh } from './testing/test-ssh.ts';
import type { TestSsh } from './testing/test-ssh.ts';
import { openRaw, rawProtocol, sendRaw } from './testing/raw-client.ts';

let test: TestSsh;
beforeEach(async () => {
  test = await startTestSsh();
});
afterEach(async () => await test[Symbol.asyncDispose]());

type Handlers = Record<string, () => void>;
const handlersOf = (client: Client): Handlers =>
  (client as unknown as { _protocol: { _handlers: Handlers } })._protocol._handlers;
const closed = async (client: Client): Promise<boolean> =>
  await Promise.race([
    new Promise<boolean>((resolve) => client.once('close', () => resolve(true))),
    sleep(4000).then(() => false),
  ]);

/** A key that the library's expressions read in quadratic time. */
const slowKey = `-----BEGIN RSA PRIVATE KEY-----\n${'A:B\n'.repeat(7000)}`;
const field = (bytes: Buffer | string): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, Buffer.from(bytes)]);
};

describe('a client that has not signed in', () => {
  it('gets global requests refused, whatever they contain, and others are served meanwhile', async () => {
    const request = Buffer.concat([
      Buffer.from([80]),
      field('hostkeys-00@openssh.com'),
      Buffer.from([1]),
      field(slowKey),
    ]);
    const client = new ssh2.Client();
    const shaken = once(client, 'handshake');
    client.on('error', () => undefined).connect({ host: '127.0.0.1', port: test.ssh.port, username: 'iknown' });
    await shaken;
    let refused = 0;
    handlersOf(client)['REQUEST_FAILURE'] = () => (refused += 1);
    const before = performance.now();
    sendRaw(client, request);
    sendRaw(client, request);
    await expect.poll(() => refused, { interval: 10, timeout: 5000 }).toBe(2);
    // Read by the library, they take more than 1 s on the hardware of the CI.
    expect(performance.now() - before).toBeLessThan(500);
    client.destroy();
    await test.connect();
  });
});

/** `tcpip-forward` (RFC 4254, section 7.1), or another request of this form. */
const forwardRequest = (name: string, host: string, port: number, wantsAnswer = true): Buffer => {
  const number = Buffer.alloc(4);
  number.writeUInt32BE(port);
  return Buffer.concat([Buffer.from([80]), field(name), Buffer.from([wantsAnswer ? 1 : 0]), field(host), number]);
};

describe('a client that has signed in', () => {
  it('gets its global requests answered in their order, and odd ones refused', async () => {
    const client = await test.connect();
    const answers: string[] = [];
    for (const name of ['REQUEST_SUCCESS', 'REQUEST_FAILURE']) handlersOf(client)[name] = () => answers.push(name);
    const requests: [string, string, number][] = [
      ...([['tcpip-forward', 'localhost', 8080]] as [string, string, number][]),
      ['tcpip-forward', 'example.com', 8080],
      ['tcpip-forward', '10.0.0.1', 8080],
      ['tcpip-forward', 'localhost', 70_000],
      ['tcpip-forward', 'x'.repeat(10_000), 8080],
      ['cancel-tcpip-forward', 'localhost', 8080],
      ['keepalive@openssh.com', '', 0],
      ['constructor', '', 0],
    ];
    for (const request of requests) sendRaw(client, forwardRequest(...request));
    sendRaw(
      client,
      Buffer.concat([Buffer.from([80]), field('tcpip-forward'), Buffer.from([1]), Buffer.alloc(3, 0xff)]),
    );
    await expect.poll(() => answers).toHaveLength(requests.length + 1);
    expect(new Set(answers)).toEqual(new Set(['REQUEST_FAILURE']));
  });

  it('is disconnected when it does not wait for answers', async () => {
    const client = await test.connect();
    const ended = closed(client);
    for (let count = 0; count < 1000; count += 1) sendRaw(client, forwardRequest('tcpip-forward', 'localhost', 0));
    expect(await ended).toBe(true);
    await test.connect();
  });

  it.each([
    ['a session', undefined],
    ['a forwarded port', 80],
  ])('and takes no byte in a packet of %s is disconnected', async (_what, port) => {
    test.serve = (socket) => socket.write('hello');
    const client = await test.connect();
    const ended = closed(client);
    const opened = openRaw(client, { packetBytes: 0, ...(port === undefined ? {} : { port }) });
    await opened.then(
      ({ id }) => rawProtocol(client).exec(id, 'true', true),
      () => undefined,
    );
    expect(await ended).toBe(true);
    await test.connect();
  });

  it('gets one program for each session', async () => {
    const client = await test.connect();
    const { channel, id } = await openRaw(client, {});
    const raw = rawProtocol(client);
    for (let count = 0; count < 3; count += 1) {
      raw.exec(id, 'true', count === 1);
      raw.shell(id, false);
      raw.channelData(id, Buffer.from('input'));
    }
    await new Promise<void>((resolve) => channel.resume().once('close', () => resolve()));
    await expect.poll(() => test.uses, { timeout: 5000 }).toMatchObject([{ kind: 'exec', count: 1 }]);
    await test.connect();
  });

  it('is disconnected when its key has ended, although it does not read', async () => {
    const client = await test.connect();
    test.serve = (connection) => connection.write(Buffer.alloc(64 * 1024 * 1024));
    await openRaw(client, { window: 2 ** 32 - 1, port: 80 });
    socketOf(client as unknown as Connection).pause();
    await sleep(200);
    test.ended.push({ sandboxId: 'iknown', keyId: 'k1' });
    await expect.poll(() => test.ssh.openConnections(), { timeout: 4000 }).toBe(0);
  });

  it('costs little memory in an exchange of keys that it does not finish', async () => {
    let taken = 0;
    test.serve = (connection) => {
      const piece = Buffer.alloc(1 << 20);
      const write = (): void => {
        while (taken < 1 << 28 && connection.write(piece)) taken += piece.length;
        taken += piece.length;
      };
      connection.on('drain', write);
      write();
    };
    const client = await test.connect();
    const opened = openRaw(client, { window: 2 ** 32 - 1, port: 80 });
    opened.catch(() => undefined);
    rawProtocol(client).rekey();
    socketOf(client as unknown as Connection).pause();
    await sleep(1500);
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThan(32 << 20);
  });

  it('is disconnected when it exchanges keys without end', async () => {
    const client = await test.connect();
    const ended = closed(client);
    let exchanges = 0;
    client.on('handshake', () => {
      exchanges += 1;
      if (exchanges < 100) setImmediate(() => rawProtocol(client).rekey());
    });
    rawProtocol(client).rekey();
    expect(await ended).toBe(true);
    expect(exchanges).toBeLessThan(30);
  });

  it('is disconnected when it sends more than the windows allow', async () => {
    test.serve = (connection) => connection.pause();
    const client = await test.connect();
    const { id } = await openRaw(client, { port: 80 });
    const ended = closed(client);
    for (let count = 0; count < 250; count += 1) rawProtocol(client).channelData(id, Buffer.alloc(30_000));
    expect(await ended).toBe(true);
    await test.connect();
  });
});
