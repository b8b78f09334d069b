import { createServer as createHttp1Server } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer as createNetServer } from 'node:net';
import type { Server } from 'node:net';
import { readFile } from 'node:fs/promises';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import type { Interceptor, Transport } from '@connectrpc/connect';
import {
  connectNodeAdapter,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from '@connectrpc/connect-node';
import { create } from '@bufbuild/protobuf';
import { AttachResponseSchema, InteractResponseSchema, ProcessService } from '@soulbox/contract/process-v1';
import { ListResponseSchema, Process, StartResponseSchema } from '@soulbox/contract/process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sandboxId, startTestWorld } from '../testing/test-world.ts';
import type { TestWorld } from '../testing/test-world.ts';

let world: TestWorld;
let canceled = 0;

/** A minimal Process service. Its answers only have to be recognizable on the other side. */
const handler = connectNodeAdapter({
  routes: (router) => {
    router.service(Process, {
      list: (_request, context) => {
        context.responseHeader.set('x-head', 'yes');
        context.responseTrailer.set('x-trail', 'yes');
        return create(ListResponseSchema, { processes: [{ pid: 7 }] });
      },
      sendSignal: () => {
        throw new ConnectError('no such process', Code.NotFound, { 'x-why': 'gone' });
      },
      async *start(request, context) {
        context.signal.addEventListener('abort', () => (canceled += 1));
        yield create(StartResponseSchema, { event: { event: { case: 'start', value: { pid: 1 } } } });
        if (request.tag === 'endless')
          await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
        if (request.tag === 'failing') throw new ConnectError('broke', Code.ResourceExhausted);
        const stdout = new Uint8Array(1000);
        for (let count = 0; count < 500; count += 1)
          yield create(StartResponseSchema, {
            event: { event: { case: 'data', value: { output: { case: 'stdout', value: stdout } } } },
          });
      },
      async streamInput(requests) {
        let count = 0;
        for await (const request of requests) count += request.event.case === undefined ? 0 : 1;
        if (count !== 3) throw new ConnectError(`got ${count}`, Code.InvalidArgument);
        return {};
      },
    });
    router.service(ProcessService, {
      async *interact(requests, context) {
        context.signal.addEventListener('abort', () => (canceled += 1));
        for await (const { request } of requests) {
          if (request.case === 'signal') throw new ConnectError('broke', Code.ResourceExhausted);
          const data = request.case === 'input' ? request.value.data : new Uint8Array();
          yield create(InteractResponseSchema, { event: { event: { case: 'output', value: { data } } } });
        }
      },
      async *attach() {
        yield await Promise.resolve(
          create(AttachResponseSchema, { event: { event: { case: 'attached', value: {} } } }),
        );
      },
    });
  },
});

/** Serves both HTTP versions on one port, like envd. */
function createEnvd(): Server {
  const http1 = createHttp1Server(handler);
  const http2 = createHttp2Server(handler);
  return createNetServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (chunk: Buffer) => {
      socket.pause();
      socket.unshift(chunk);
      (chunk.subarray(0, 3).toString() === 'PRI' ? http2 : http1).emit('connection', socket);
      process.nextTick(() => socket.resume());
    });
  });
}

beforeAll(async () => {
  world = await startTestWorld({ config: { portClosedRetryDelayMs: 1 } });
  await world.serveNet(49983, createEnvd());
});
afterAll(async () => await world[Symbol.asyncDispose]());

type Kind = 'connect' | 'grpc' | 'grpc-web';
type Wire = 'h1' | 'h2c' | 'tls-h1' | 'tls-h2';

async function createTransport(kind: Kind, wire: Wire, id: string): Promise<Transport> {
  const secure = wire.startsWith('tls');
  const port = secure ? world.gateway.tlsPort : world.gateway.port;
  const route: Interceptor = (next) => async (request) => {
    request.header.set('e2b-sandbox-id', id);
    request.header.set('e2b-sandbox-port', '49983');
    return await next(request);
  };
  const common = {
    baseUrl: `${secure ? 'https' : 'http'}://localhost:${String(port)}`,
    interceptors: [route],
    ...(secure ? { nodeOptions: { ca: await readFile(world.gateway.caFile ?? '') } } : {}),
  };
  if (kind === 'grpc') return createGrpcTransport(common);
  const httpVersion = wire.endsWith('h1') ? '1.1' : '2';
  return kind === 'connect'
    ? createConnectTransport({ ...common, httpVersion, useBinaryFormat: false })
    : createGrpcWebTransport({ ...common, httpVersion });
}

const ways: [Kind, Wire][] = [
  ['connect', 'h1'],
  ['connect', 'h2c'],
  ['connect', 'tls-h1'],
  ['connect', 'tls-h2'],
  ['grpc', 'h2c'],
  ['grpc', 'tls-h2'],
  ['grpc-web', 'h1'],
  ['grpc-web', 'h2c'],
  ['grpc-web', 'tls-h2'],
];

describe.each(ways)('%s over %s', (kind, wire) => {
  const client = async (id = sandboxId) => createClient(Process, await createTransport(kind, wire, id));

  test('makes calls with headers and trailers', async () => {
    const seen: (string | null)[] = [];
    const answer = await (
      await client()
    ).list(
      {},
      {
        onHeader: (headers) => seen.push(headers.get('x-head')),
        onTrailer: (trailers) => seen.push(trailers.get('x-trail')),
      },
    );
    expect(answer.processes[0]?.pid).toBe(7);
    expect(seen).toEqual(['yes', 'yes']);
  });

  test('receives an error with its code and details', async () => {
    const error = await (await client()).sendSignal({}).catch((thrown: unknown) => ConnectError.from(thrown));
    expect(error).toMatchObject({ code: Code.NotFound, rawMessage: 'no such process' });
    expect((error as ConnectError).metadata.get('x-why')).toBe('gone');
  });

  test('receives a stream from the sandbox', async () => {
    let bytes = 0;
    for await (const { event } of (await client()).start({}))
      if (event?.event.case === 'data') bytes += event.event.value.output.value?.length ?? 0;
    expect(bytes).toBe(500_000);
  });

  test('sees a stream fail with the code of the service', async () => {
    const run = async (): Promise<void> => {
      for await (const event of (await client()).start({ tag: 'failing' })) expect(event).toBeDefined();
    };
    await expect(run()).rejects.toMatchObject({ code: Code.ResourceExhausted });
  });

  test('ends the call inside the sandbox when it cancels', async () => {
    const before = canceled;
    const abort = new AbortController();
    const run = async (): Promise<void> => {
      for await (const event of (await client()).start({ tag: 'endless' }, { signal: abort.signal })) {
        expect(event).toBeDefined();
        abort.abort();
      }
    };
    await expect(run()).rejects.toMatchObject({ code: Code.Canceled });
    await expect.poll(() => canceled).toBe(before + 1);
  });

  test('receives unavailable for a sandbox that is gone', async () => {
    const failed = (await client('inotthere')).list({});
    await expect(failed).rejects.toMatchObject({ code: Code.Unavailable });
  });

  test('is ended by a kill', async () => {
    world.router.add('ikilled');
    const envd = createEnvd();
    await world.serveNet(49983, envd, { sandboxId: 'ikilled' });
    const run = async (): Promise<void> => {
      for await (const event of (await client('ikilled')).start({ tag: 'endless' })) {
        expect(event).toBeDefined();
        world.router.kill('ikilled');
      }
    };
    await expect(run()).rejects.toThrow();
    await expect((await client('ikilled')).list({})).rejects.toMatchObject({ code: Code.Unavailable });
  });
});

test.each(ways.filter(([, wire]) => wire !== 'h1' && wire !== 'tls-h1'))(
  'a stream of requests goes through %s over %s',
  async (kind, wire) => {
    if (kind === 'grpc-web') return;
    const client = createClient(Process, await createTransport(kind, wire, sandboxId));
    async function* inputs() {
      for (let count = 0; count < 3; count += 1) {
        yield await Promise.resolve({ event: { case: 'keepalive' as const, value: {} } });
      }
    }
    await client.streamInput(inputs());
  },
);

describe.each(ways.filter(([kind, wire]) => kind !== 'grpc-web' && !wire.endsWith('h1')))(
  'a conversation in %s over %s',
  (kind, wire) => {
    const converse = async (id = sandboxId) => {
      const client = createClient(ProcessService, await createTransport(kind, wire, id));
      let send = (_text: string): void => undefined;
      async function* requests() {
        for (let text = 'first'; text !== 'finish'; text = await new Promise<string>((resolve) => (send = resolve))) {
          if (text === 'fail') yield { request: { case: 'signal' as const, value: 9 } };
          else yield { request: { case: 'input' as const, value: { data: Buffer.from(text) } } };
        }
      }
      return { answers: client.interact(requests()), send: (text: string) => send(text) };
    };

    test('goes on in turns, and ends when the client has finished', async () => {
      const { answers, send } = await converse();
      const seen: string[] = [];
      for await (const { event } of answers) {
        if (event?.event.case === 'output') seen.push(Buffer.from(event.event.value.data).toString());
        send(seen.length < 5 ? `turn ${seen.length}` : 'finish');
      }
      expect(seen).toEqual(['first', 'turn 1', 'turn 2', 'turn 3', 'turn 4']);
    });

    test('fails with the code of the service', async () => {
      const { answers, send } = await converse();
      const run = async (): Promise<void> => {
        for await (const event of answers) if (event.event !== undefined) send('fail');
      };
      await expect(run()).rejects.toMatchObject({ code: Code.ResourceExhausted });
    });

    test('is unavailable when the sandbox is killed or paused in the middle', async () => {
      world.router.add('italking');
      await world.serveNet(49983, createEnvd(), { sandboxId: 'italking' });
      const { answers } = await converse('italking');
      const run = async (): Promise<void> => {
        for await (const event of answers) if (event.event !== undefined) world.router.kill('italking');
      };
      await expect(run()).rejects.toMatchObject({ code: Code.Unavailable });
    });
  },
);

test('gRPC to a port without HTTP/2, and to a closed port, is unavailable', async () => {
  world.router.add('iplain');
  await world.serveNet(
    49983,
    createHttp1Server((_request, response) => response.end('x')),
    { sandboxId: 'iplain' },
  );
  const plain = createClient(Process, await createTransport('grpc', 'h2c', 'iplain'));
  await expect(plain.list({})).rejects.toMatchObject({ code: Code.Unavailable });
  world.router.add('iclosed');
  const closed = createClient(Process, await createTransport('grpc', 'h2c', 'iclosed'));
  await expect(closed.list({})).rejects.toMatchObject({ code: Code.Unavailable });
});

test('many gRPC streams share few connections into the sandbox', async () => {
  world.router.add('imany');
  await world.serveNet(49983, createEnvd(), { sandboxId: 'imany' });
  const client = createClient(Process, await createTransport('grpc', 'h2c', 'imany'));
  const before = world.router.dials.length;
  await Promise.all(Array.from({ length: 50 }, async () => await client.list({})));
  expect(world.router.dials.length - before).toBe(1);
});
