/** @module-tag violation */
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import type { Client } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { afterEach, expect, test } from 'vitest';
import { OutputStream, ProcessService } from '@soulbox/contract/process-v1';
import type { AttachRequest } from '@soulbox/contract/process-v1';
import { startFaultProxy } from '@soulbox/testing/fault-proxy';
import type { FaultProxy } from '@soulbox/testing/fault-proxy';
import { createTarget } from '../core/target.ts';
import { createWebTransport } from '../web/transport.ts';
import { attachProcess } from './attach.ts';
import type { Attachment, ProcessEvent } from './attach.ts';

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

interface World {
  readonly client: Client<typeof ProcessService>;
  readonly proxy: FaultProxy;
  readonly asked: (AttachRequest['from'] | undefined)[];
}

/** The log of one ended process, of which the bytes before `oldest` were dropped. */
async function openWorld(log: Uint8Array, oldest = 0): Promise<World> {
  const asked: World['asked'] = [];
  const adapter = connectNodeAdapter({
    routes: (router) => {
      router.service(ProcessService, {
        async *attach({ from }) {
          asked.push(from);
          const choice = from?.from;
          const wanted =
            choice?.case === 'position'
              ? Number(choice.value)
              : choice?.case === 'lastBytes'
                ? log.length - Number(choice.value)
                : oldest;
          if (wanted > log.length) throw new ConnectError('beyond the end', Code.OutOfRange);
          yield { event: { event: { case: 'attached', value: { position: BigInt(wanted) } } } };
          let at = wanted;
          if (at < oldest) {
            yield { event: { event: { case: 'gap', value: { from: BigInt(at), to: BigInt(oldest) } } } };
            at = oldest;
          }
          while (at < log.length) {
            const data = log.subarray(at, at + randomInt(1, 20_000));
            const value = { position: BigInt(at), stream: OutputStream.STDOUT, streamPosition: BigInt(at), data };
            yield { event: { event: { case: 'output', value } } };
            at += data.length;
            await new Promise((resolve) => setImmediate(resolve));
          }
          yield { event: { event: { case: 'ended', value: { position: BigInt(at), exit: { code: 3 } } } } };
        },
      });
    },
  });
  const server = createServer(adapter);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  const proxy = stack.use(await startFaultProxy((server.address() as AddressInfo).port));
  const baseUrl = `http://127.0.0.1:${proxy.port}`;
  const target = createTarget({ name: baseUrl, breaker: false });
  return { client: createClient(ProcessService, createWebTransport({ baseUrl, target })), proxy, asked };
}

const retry = { attempts: 40, initialDelayMs: 1, maxDelayMs: 4 };

async function readAll({ client }: World, attachment: Partial<Attachment> = {}): Promise<ProcessEvent[]> {
  const events: ProcessEvent[] = [];
  const request = { processId: 'p', ...attachment };
  for await (const event of attachProcess(client, request, { retry, silenceMs: 2000 })) events.push(event);
  return events;
}

function bytesOf(events: readonly ProcessEvent[]): Buffer {
  return Buffer.concat(events.map((event) => (event.case === 'output' ? event.value.data : Buffer.alloc(0))));
}

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test.each([
  ['the beginning', {}, 0],
  ['the last bytes', { from: { case: 'lastBytes', value: 300_000n } }, 200_000],
  ['a position', { from: { case: 'position', value: 123_456n } }, 123_456],
] as const)(
  'over many cuts, the output from %s on arrives once and complete, with the exit',
  async (_, from, start) => {
    const log = randomBytes(500_000);
    const world = await openWorld(log);
    world.proxy.setFault((n) =>
      n < 40 ? { kind: 'cut', afterBytes: randomInt(300, 25_000), reset: n % 2 === 0 } : { kind: 'none' },
    );
    const events = await readAll(world, from);
    expect(hash(bytesOf(events))).toBe(hash(log.subarray(start)));
    expect(events.filter((event) => event.case === 'attached')).toHaveLength(1);
    expect(events.at(-1)).toMatchObject({ case: 'ended', value: { exit: { code: 3 } } });
    expect(world.asked.length).toBeGreaterThan(10);
    expect(world.asked.at(-1)?.from.case).toBe('position');
  },
);

test('what was dropped arrives as a gap', async () => {
  const log = randomBytes(10_000);
  const world = await openWorld(log, 4000);
  const events = await readAll(world, { from: { case: 'position', value: 1000n } });
  expect(events[1]).toMatchObject({ case: 'gap', value: { from: 1000n, to: 4000n } });
  expect(hash(bytesOf(events))).toBe(hash(log.subarray(4000)));
});

test('a position beyond the end is an error', async () => {
  const world = await openWorld(randomBytes(10));
  await expect(readAll(world, { from: { case: 'position', value: 11n } })).rejects.toMatchObject({
    ...{ name: 'CallError', code: 'out_of_range', retryable: false },
  });
  expect(world.asked).toHaveLength(1);
});
