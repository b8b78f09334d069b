/** @module-tag violation */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Client, Connection } from 'ssh2';
import { socketOf } from './library.ts';
import { startTestSsh } from './testing/test-ssh.ts';
import type { TestSsh } from './testing/test-ssh.ts';
import { openRaw, rawProtocol } from './testing/raw-client.ts';

let test: TestSsh;
beforeEach(async () => {
  test = await startTestSsh();
});
afterEach(async () => await test[Symbol.asyncDispose]());

const closed = async (client: Client): Promise<boolean> =>
  await Promise.race([
    new Promise<boolean>((resolve) => client.once('close', () => resolve(true))),
    sleep(4000).then(() => false),
  ]);

describe('a client that has signed in', () => {
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
});
