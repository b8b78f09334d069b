import { once } from 'node:events';
import { createServer, request as ask } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { expect, it } from 'vitest';
import type { ApiContext } from '../context.ts';
import { createKeyWatch } from '../keys/key-watch.ts';
import { keySignalOf } from './key-signal.ts';

it('watches no key for a client that has left', async () => {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const client = ask({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  client.on('error', () => undefined);
  const arrived = once(server, 'request');
  client.end();
  const [, raw] = (await arrived) as [unknown, FastifyReply['raw']];
  let watches = 0;
  const keyWatch = createKeyWatch();
  const watch: typeof keyWatch.watch = (key) => {
    const watched = keyWatch.watch(key);
    watches += 1;
    const end = (): void => {
      watches -= 1;
      watched[Symbol.dispose]();
    };
    return { signal: watched.signal, [Symbol.dispose]: end };
  };
  const caller = { keyId: 'k1', team: { id: 't1' }, scopes: [] };
  const signalOf = () =>
    keySignalOf(
      { caller } as unknown as FastifyRequest,
      { raw } as FastifyReply,
      {
        ...{ keyWatch: { watch } },
      } as unknown as ApiContext,
    );
  expect([signalOf().aborted, watches]).toEqual([false, 1]);
  const closed = once(raw, 'close');
  client.destroy();
  await closed;
  expect([signalOf().aborted, watches]).toEqual([true, 0]);
  server.close();
});
