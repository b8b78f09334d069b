import { setTimeout as sleep } from 'node:timers/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { createHttp2Pool, createNodeTransport } from '@soulbox/client/node';
import { envdPort, headers } from '@soulbox/contract';
import { LogPolicy, ProcessService } from '@soulbox/contract/process-v1';
import type { InteractRequestSchema } from '@soulbox/contract/process-v1';
import { findServerPart } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import type { Sandbox } from 'e2b';
import type { Lab } from '../lab.ts';
import type { Figure, Measurement } from '../measurement.ts';
import { cpuSeconds, findSandboxProcesses, privateMb } from '../processes.ts';
import { timeMs } from '../time.ts';

const mib = 2 ** 20;
const outputBytes = 128 * mib;
const acknowledgeEvery = 4 * mib;
const readerCount = 10;
const idleCount = 500;
const idleRestMs = 5000;
const idleWindowMs = 10_000;

/** Process streams (soulbox.process.v1), through the gateway and with the client of this repository. */
export const streams: Measurement = {
  name: 'streams',
  async *run(lab) {
    const sandbox = await lab.create(lab.warm);
    await lab.settle(lab.warm, 1);
    lab.progress('echo on an attached process');
    yield await echo(lab, sandbox);
    lab.progress('throughput of one reader');
    yield* await throughput(lab, sandbox, 1);
    lab.progress(`throughput of ${readerCount} readers`);
    yield* await throughput(lab, sandbox, readerCount);
    lab.progress('reconnects');
    yield* await reconnect(lab, sandbox);
    lab.progress(`${idleCount} idle streams`);
    yield* await idle(lab, sandbox);
    await sandbox.kill();
  },
};

/** A client with connections of its own. Its calls need `options`. */
function connectTo({ port }: ServerProcess, sandbox: Sandbox) {
  const { envdAccessToken } = sandbox as unknown as { envdAccessToken: string };
  const address = {
    [headers.sandboxId]: sandbox.sandboxId,
    [headers.sandboxPort]: String(envdPort),
    [headers.accessToken]: envdAccessToken,
  };
  const baseUrl = `http://127.0.0.1:${port}`;
  const pool = createHttp2Pool({ authority: baseUrl, connectionsMax: readerCount });
  const client = createClient(ProcessService, createNodeTransport({ baseUrl, over: pool }));
  return { client, options: { headers: address }, close: () => pool.close() };
}

type Connection = ReturnType<typeof connectTo>;

async function start({ client, options }: Connection, program: string, args: string[], rest: object = {}) {
  const { process } = await client.start({ command: { program, args }, ...rest }, options);
  if (process === undefined) throw new Error(`${program} did not start`);
  return process.id;
}

async function* attach({ client, options }: Connection, processId: string, position: bigint, signal?: AbortSignal) {
  const from = { from: { case: 'position' as const, value: position } };
  const call = { ...options, ...(signal === undefined ? {} : { signal }) };
  for await (const { event } of client.attach({ processId, from }, call)) if (event !== undefined) yield event.event;
}

async function echo(lab: Lab, sandbox: Sandbox): Promise<Figure> {
  const connection = connectTo(lab.warm, sandbox);
  const outgoing = createQueue();
  const start = { start: { command: { program: 'cat' }, hasInput: true }, options: {} };
  outgoing.push({ request: { case: 'start', value: start } });
  const events = connection.client.interact(outgoing.requests(), connection.options)[Symbol.asyncIterator]();
  const nextOutput = async (): Promise<void> => {
    for (;;) {
      const next = await events.next();
      if (next.done === true) throw new Error('cat ended');
      if (next.value.event?.event.case === 'output') return;
    }
  };
  const samples: number[] = [];
  const data = Buffer.from('x');
  for (let round = -100; round < lab.rounds * 10; round++) {
    const elapsed = await timeMs(async () => {
      outgoing.push({ request: { case: 'input', value: { data } } });
      await nextOutput();
    });
    if (round >= 0) samples.push(elapsed);
  }
  connection.close();
  return { what: 'echo of one byte, attached process', unit: 'ms', samples, aims: [{ at: 'p50', atMost: 1.5 }] };
}

/** The client's messages of an `Interact`, as they come. */
function createQueue() {
  type Request = MessageInitShape<typeof InteractRequestSchema>;
  const queue: Request[] = [];
  let wake = (): void => undefined;
  return {
    push(request: Request): void {
      queue.push(request);
      wake();
    },
    async *requests(): AsyncGenerator<Request> {
      for (;;) {
        const next = queue.shift();
        if (next === undefined) await new Promise<void>((resolve) => (wake = resolve));
        else yield next;
      }
    },
  };
}

/** The output of all readers together. The process waits for the slowest, so nobody misses any. */
async function throughput(lab: Lab, sandbox: Sandbox, readers: number): Promise<Figure[]> {
  const bytes = Math.floor(outputBytes / readers);
  const samples: number[] = [];
  const connections = Array.from({ length: readers }, () => connectTo(lab.warm, sandbox));
  const [first] = connections;
  if (first === undefined) return [];
  for (let round = -1; round < 5; round++) {
    const log = { policy: LogPolicy.BLOCK };
    const id = await start(first, '/bin/sh', ['-c', `read x; exec head -c ${bytes} /dev/zero`], {
      log,
      hasInput: true,
    });
    const positions = connections.map(() => 0n);
    let acknowledged = 0n;
    let acknowledging: Promise<unknown> = Promise.resolve();
    const read = async (connection: Connection, index: number): Promise<void> => {
      for await (const event of attach(connection, id, 0n)) {
        if (event.case !== 'output') continue;
        positions[index] = event.value.position + BigInt(event.value.data.length);
        const all = positions.reduce((least, position) => (position < least ? position : least));
        if (all - acknowledged < acknowledgeEvery) continue;
        acknowledged = all;
        acknowledging = first.client.acknowledge({ processId: id, position: all }, first.options);
        acknowledging.catch(() => undefined);
      }
    };
    const elapsedMs = await timeMs(async () => {
      const reading = Promise.all(connections.map(read));
      await first.client.write({ processId: id, input: { data: Buffer.from('\n') } }, first.options);
      await reading;
      await acknowledging;
    });
    if (positions.some((position) => position !== BigInt(bytes))) throw new Error('A reader missed output.');
    await first.client.forget({ processId: id }, first.options);
    if (round >= 0) samples.push((bytes * readers) / mib / (elapsedMs / 1000));
  }
  for (const connection of connections) connection.close();
  const what = readers === 1 ? 'output to one reader' : `output to ${readers} readers, together`;
  return [{ what, unit: 'MiB/s', samples, ...(readers === 1 ? { aims: [{ at: 'p50', atLeast: 300 }] } : {}) }];
}

/** From the loss of a connection to the first byte after the last received one, over a new connection. */
async function reconnect(lab: Lab, sandbox: Sandbox): Promise<Figure[]> {
  const samples: number[] = [];
  const starter = connectTo(lab.warm, sandbox);
  const id = await start(starter, '/bin/sh', ['-c', 'seq 100000; exec sleep 600']);
  for (let round = -5; round < lab.rounds; round++) {
    const position = BigInt(Math.max(0, round) * 1000);
    const connection = connectTo(lab.warm, sandbox);
    const elapsed = await timeMs(async () => {
      for await (const event of attach(connection, id, position)) {
        if (event.case === 'output' && event.value.position === position) break;
        if (event.case !== 'attached') throw new Error('The first byte is missing.');
      }
    });
    connection.close();
    if (round >= 0) samples.push(elapsed);
  }
  await starter.client.signal({ processId: id, signal: 9 }, starter.options);
  starter.close();
  return [{ what: 'reconnect to the first missed byte', unit: 'ms', samples, aims: [{ at: 'p50', atMost: 30 }] }];
}

async function idle(lab: Lab, sandbox: Sandbox): Promise<Figure[]> {
  const connection = connectTo(lab.warm, sandbox);
  const id = await start(connection, 'sleep', ['600']);
  const processes = { envd: findEnvd(lab, sandbox), gateway: findServerPart(lab.warm.pid, 'gateway') ?? 0 };
  const read = (measure: (pid: number) => number) => ({
    envd: measure(processes.envd),
    gateway: measure(processes.gateway),
  });
  await sleep(idleRestMs);
  const memoryBefore = read(privateMb);
  const leave = new AbortController();
  let attached = 0;
  const streams = Array.from({ length: idleCount }, async () => {
    for await (const event of attach(connection, id, 0n, leave.signal)) if (event.case === 'attached') attached += 1;
  });
  const ended = Promise.allSettled(streams);
  while (attached < idleCount) await sleep(50);
  await sleep(idleRestMs);
  const memoryAfter = read(privateMb);
  const cpuBefore = read(cpuSeconds);
  await sleep(idleWindowMs);
  const cpuAfter = read(cpuSeconds);
  leave.abort();
  await ended;
  await connection.client.signal({ processId: id, signal: 9 }, connection.options);
  connection.close();
  return (['envd', 'gateway'] as const).flatMap((name): Figure[] => [
    {
      what: `${idleCount} idle streams, memory of ${name}`,
      unit: 'MiB',
      samples: [memoryAfter[name] - memoryBefore[name]],
      note: 'growth',
    },
    {
      what: `${idleCount} idle streams, ${name}`,
      unit: '% of a core',
      samples: [((cpuAfter[name] - cpuBefore[name]) / (idleWindowMs / 1000)) * 100],
    },
  ]);
}

/** The oldest process of the sandbox. */
function findEnvd(lab: Lab, { sandboxId }: Sandbox): number {
  const [envd] = (findSandboxProcesses(lab.warm.instance).get(sandboxId) ?? []).sort((a, b) => a - b);
  if (envd === undefined) throw new Error('The sandbox has no process on this host.');
  return envd;
}
