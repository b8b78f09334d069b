/** @module-tag violation */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Client, ClientChannel } from 'ssh2';
import { strangersMax, strangersOfAddressMax } from './limits.ts';
import { rsaKey, startTestSsh } from './testing/test-ssh.ts';
import type { TestSsh } from './testing/test-ssh.ts';

let test: TestSsh;
beforeEach(async () => {
  test = await startTestSsh();
});
afterEach(async () => await test[Symbol.asyncDispose]());

async function isClosed(socket: Socket, withinMs = 5000): Promise<boolean> {
  socket.on('error', () => undefined).resume();
  if (socket.destroyed) return true;
  return await Promise.race([
    new Promise<boolean>((resolve) => socket.once('close', () => resolve(true))),
    sleep(withinMs).then(() => false),
  ]);
}
const dial = (): Socket => connect({ host: '127.0.0.1', port: test.ssh.port }).on('error', () => undefined);
const exec = async (client: Client, command: string): Promise<ClientChannel> =>
  await new Promise((resolve, reject) =>
    client.exec(command, (error, channel) => (error ? reject(error) : resolve(channel))),
  );

describe('a sign-in', () => {
  it('works with a key, and the authority gets what was signed', async () => {
    await test.connect();
    expect(test.attempts).toMatchObject([{ user: 'iknown', address: '127.0.0.1' }]);
    expect(Buffer.from(test.attempts[0]?.signed ?? []).toString('latin1')).toContain('ssh-connection');
    expect(test.attempts[0]?.signature).toHaveProperty('length', 64);
  });

  it('works with an RSA key and SHA-2', async () => {
    await test.connect({ privateKey: rsaKey() });
    expect(Buffer.from(test.attempts[0]?.signed ?? []).toString('latin1')).toContain('rsa-sha2-');
  });

  const refused: [string, object][] = [
    ['a password', { password: 'e2b_0123', privateKey: undefined }],
    ['nothing', { privateKey: undefined }],
    ['a name that the authority refuses', { username: 'iother' }],
  ];
  it.each(refused)('with %s is refused', async (_what, more) => {
    await expect(test.connect(more)).rejects.toThrow(/authentication/i);
    expect(test.attempts.every(({ user }) => user === 'iother')).toBe(true);
  });

  it('asks the authority nothing before the client has signed', async () => {
    await expect(test.connect({ privateKey: undefined, authHandler: ['none'] } as object)).rejects.toThrow(
      /authentication/i,
    );
    expect(test.attempts).toEqual([]);
  });

  it('is refused when as many as allowed are in', async () => {
    await test[Symbol.asyncDispose]();
    test = await startTestSsh({ maxConnections: 1 });
    await test.connect();
    await expect(test.connect()).rejects.toThrow();
  });

  it('is refused when its team has a quarter of the connections, and other teams still enter', async () => {
    await test.connect();
    await test.connect();
    await expect(test.connect()).rejects.toThrow();
    test.teamId = 't2';
    await test.connect();
  });
});

describe('a stranger', () => {
  it.each([
    ['noise', Buffer.alloc(300_000, 0x41)],
    [
      'a packet of 4 GiB',
      Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), Buffer.from([0xff, 0xff, 0xff, 0xff]), Buffer.alloc(1000)]),
    ],
    ['a packet of no bytes', Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), Buffer.alloc(64)])],
    ['an old version', Buffer.from('SSH-1.5-x\r\n')],
    ['endless lines', Buffer.from('x\r\n'.repeat(100_000))],
  ])('who sends %s is disconnected, and others are served', async (_what, bytes) => {
    const socket = dial();
    socket.write(bytes);
    expect(await isClosed(socket)).toBe(true);
    await test.connect();
  });

  it('of one address cannot have more connections than allowed, and they do not keep others out', async () => {
    const sockets = Array.from({ length: strangersOfAddressMax + 30 }, dial);
    await sleep(300);
    expect(test.ssh.openConnections()).toBeLessThanOrEqual(strangersOfAddressMax);
    expect(strangersMax).toBeGreaterThan(strangersOfAddressMax);
    for (const socket of sockets) socket.destroy();
    await sleep(100);
    await test.connect();
  });
});

describe('a client about which control decides', () => {
  it('is not pushed out by a flood of strangers', async () => {
    const decision = Promise.withResolvers<boolean>();
    test.decide = async () => await decision.promise;
    const client = test.connect();
    client.catch(() => undefined);
    await expect.poll(() => test.attempts).toHaveLength(1);
    const flood = Array.from({ length: strangersMax + 20 }, (_, count) =>
      connect({ host: '127.0.0.1', port: test.ssh.port, localAddress: `127.0.0.${2 + (count % 10)}` }),
    );
    for (const socket of flood) socket.on('error', () => undefined);
    await expect.poll(() => test.ssh.openConnections()).toBe(strangersMax);
    await sleep(200);
    decision.resolve(true);
    await client;
    for (const socket of flood) socket.destroy();
  });
});

describe('a connection', () => {
  it('ends when its key does', async () => {
    const client = await test.connect();
    const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
    test.ended.push({ sandboxId: 'iknown', keyId: 'k1' });
    await closed;
    expect(test.ssh.openConnections()).toBe(0);
  });

  it('tells on standard error why there is no sandbox, with status 255, and the use is reported', async () => {
    const client = await test.connect();
    const channel = await exec(client, 'true');
    let errors = '';
    channel.stderr.on('data', (bytes: Buffer) => (errors += String(bytes)));
    const [status] = await new Promise<[number]>((resolve) => channel.on('exit', (...args: [number]) => resolve(args)));
    await new Promise<void>((resolve) => channel.resume().on('close', () => resolve()));
    expect([status, errors]).toEqual([255, expect.stringMatching(/^soulbox: /)]);
    await expect.poll(() => test.uses, { timeout: 5000 }).toMatchObject([{ kind: 'exec', count: 1 }]);
  });

  it.each([
    ['a host outside', 'example.com', 80],
    ['a private address', '10.0.0.1', 80],
    ['port 0', 'localhost', 0],
    ['a sandbox that the gateway does not have', 'localhost', 80],
  ])('forwards nothing to %s', async (_what, host, port) => {
    const client = await test.connect();
    const outcome = new Promise((resolve) => client.forwardOut('127.0.0.1', 1, host, port, (error) => resolve(error)));
    expect(await outcome).toBeInstanceOf(Error);
  });

  it('gets no more channels than allowed', async () => {
    const client = await test.connect();
    const outcomes = await Promise.all(
      Array.from(
        { length: 300 },
        async () =>
          await exec(client, 'true').then(
            () => 'open',
            () => 'refused',
          ),
      ),
    );
    expect(outcomes).toContain('refused');
    await test.connect();
  });

  it('that asks for a password change, agents and X11 gets nothing', async () => {
    const client = await test.connect();
    const asked = new Promise((resolve) =>
      client.exec('true', { x11: true, agentForward: true } as object, (error) => resolve(error)),
    );
    expect(await asked).toBeInstanceOf(Error);
  });
});
