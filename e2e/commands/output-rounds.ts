import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { startFaultProxy } from '@soulbox/testing/fault-proxy';
import type { Fault } from '@soulbox/testing/fault-proxy';
import type { ServerProcess } from '@soulbox/testing';
import fc from 'fast-check';
import { Sandbox, SoulBoxError } from 'soulbox';
import type { SandboxProcess } from 'soulbox';
import { connectionOf } from '../harness/drill.ts';
import { pidOfPart } from '../harness/pid-of-part.ts';
import { until } from '../harness/until.ts';

export type Step = {
  readonly kind: 'cut' | 'pause' | 'fork' | 'kill-gateway' | 'kill-server';
  /** What passes before it, in milliseconds. */
  readonly afterMs: number;
};

export interface Round {
  readonly steps: readonly Step[];
  /** Of the next connections of the client. */
  readonly faults: readonly Fault[];
  readonly seed: number;
}

type Kinds = fc.Arbitrary<readonly Step['kind'][]>;

/** For a short test: one kill, and something else before or after it. */
export const fewKinds: Kinds = fc
  .tuple(
    fc.constantFrom<Step['kind']>('cut', 'pause', 'fork'),
    fc.constantFrom<Step['kind']>('kill-gateway', 'kill-server'),
    fc.boolean(),
  )
  .map(([other, kill, isFirst]) => (isFirst ? [kill, other] : [other, kill]));

/** The slow ones are rarer. */
export const manyKinds: Kinds = fc.array(
  fc.oneof(
    { arbitrary: fc.constant<Step['kind']>('cut'), weight: 5 },
    { arbitrary: fc.constantFrom<Step['kind']>('pause', 'fork', 'kill-gateway', 'kill-server'), weight: 4 },
  ),
  { minLength: 1, maxLength: 16 },
);

const fault: fc.Arbitrary<Fault> = fc.record({
  kind: fc.constant('cut' as const),
  direction: fc.constantFrom('up' as const, 'down' as const),
  afterBytes: fc.oneof(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 0, max: 300_000 })),
  reset: fc.boolean(),
});

export function rounds(kinds: Kinds): fc.Arbitrary<Round> {
  const steps = kinds.chain((chosen) =>
    fc.tuple(
      ...chosen.map((kind) => fc.record({ kind: fc.constant(kind), afterMs: fc.integer({ min: 0, max: 300 }) })),
    ),
  );
  return fc.record({ steps, faults: fc.array(fault, { maxLength: 10 }), seed: fc.nat() });
}

/** Longer than a run of the test. */
const timeoutMs = 3_600_000;
/** Small, so that the log wraps around. */
const logBytes = 256 * 1024;
const blockBytes = 32;
/** Prints blocks that follow from their number, and its input as errors, until the input ends. */
const program = `
import hashlib, os, sys, threading, time
seed = sys.argv[1]
ended = threading.Event()
def echo():
    while data := os.read(0, 65536):
        while data: data = data[os.write(2, data):]
    ended.set()
threading.Thread(target=echo).start()
block = 0
while not ended.is_set():
    data = b''.join(hashlib.sha256(f'{seed}:{n}'.encode()).digest() for n in range(block, block + 256))
    block += 256
    while data: data = data[os.write(1, data):]
    time.sleep(0.002)
`;

const blockOf = (seed: string, block: number): Buffer => createHash('sha256').update(`${seed}:${block}`).digest();

/** The bytes of a stream from a position on. */
function expectedBytes(seed: string, from: number, length: number): Buffer {
  const first = Math.floor(from / blockBytes);
  const last = Math.ceil((from + length) / blockBytes);
  const blocks = Array.from({ length: last - first }, (_, index) => blockOf(seed, first + index));
  return Buffer.concat(blocks).subarray(from - first * blockBytes, from - first * blockBytes + length);
}

/** What one reader has got of a stream: every byte goes into the hash. */
interface Received {
  readonly from: number;
  length: number;
  readonly hash: ReturnType<typeof createHash>;
}

interface Reading {
  position: number;
  readonly byStream: Map<'stdout' | 'stderr', Received>;
  readonly done: Promise<void>;
}

/** Reads to the end, however often the connection breaks. `seen`: may acknowledge. */
function read(process: SandboxProcess, seen: (position: number) => void): Reading {
  const reading = { position: 0, byStream: new Map<'stdout' | 'stderr', Received>(), done: Promise.resolve() };
  const readAll = async (): Promise<void> => {
    for await (const event of process.attach('oldest')) {
      if (event.type === 'gap') throw new Error(`The output from ${event.from} to ${event.to} is missing.`);
      if (event.type === 'attached') reading.position = event.position;
      if (event.type !== 'output' || event.stream === 'terminal') continue;
      if (event.position !== reading.position) throw new Error(`${event.position} follows ${reading.position}.`);
      const { stream, streamPosition, data } = event;
      const fresh = { from: streamPosition, length: 0, hash: createHash('sha256') };
      const received = reading.byStream.get(stream) ?? fresh;
      reading.byStream.set(stream, received);
      if (received.from + received.length !== streamPosition)
        throw new Error(`${stream} continues at ${streamPosition}, after ${received.from + received.length}.`);
      received.hash.update(data);
      received.length += data.length;
      reading.position += data.length;
      seen(reading.position);
    }
  };
  reading.done = readAll();
  reading.done.catch(() => undefined);
  return reading;
}

/** Throws if the hash of what arrived is not that of what was printed. Returns the bytes. */
function check({ byStream }: Reading, seeds: Seeds): number {
  let bytes = 0;
  for (const [stream, { from, length, hash }] of byStream) {
    const wanted = createHash('sha256')
      .update(expectedBytes(seeds[stream], from, length))
      .digest('hex');
    if (hash.digest('hex') !== wanted) throw new Error(`${stream} from ${from} on (${length} bytes) has other bytes.`);
    bytes += length;
  }
  return bytes;
}

const acknowledgeStepBytes = 16 * 1024;

/** Acknowledges what all readers have, one call after another, so that the process goes on. */
function acknowledgeFor(process: SandboxProcess, readings: readonly Reading[]): () => void {
  let [acknowledged, isSending] = [0, false];
  const common = (): number => Math.min(...readings.map(({ position }) => position));
  const sendAll = async (): Promise<void> => {
    for (let next = common(); next - acknowledged >= acknowledgeStepBytes; next = common())
      try {
        await process.acknowledge(next);
        acknowledged = next;
      } catch (error) {
        // The round is over.
        if (error instanceof SoulBoxError && error.code === 'not_found') return;
        await sleep(50);
      }
  };
  return () => {
    if (isSending) return;
    isSending = true;
    void sendAll().finally(() => (isSending = false));
  };
}

type Seeds = Readonly<Record<'stdout' | 'stderr', string>>;

/** Writes what follows from the seed until it is stopped. `stop` returns the number of bytes. */
function write(process: SandboxProcess, seed: string): { stop(): Promise<number> } {
  let isStopped = false;
  const writeAll = async (): Promise<number> => {
    let written = 0;
    for (let length = 1; !isStopped; length = ((length * 7) % 20_011) + 1) {
      await process.write(expectedBytes(seed, written, length));
      written += length;
      await sleep(5);
    }
    return written;
  };
  const writing = writeAll();
  writing.catch(() => undefined);
  return {
    stop: async () => {
      isStopped = true;
      return await writing;
    },
  };
}

/** The process of a copy prints the same as its source up to the copy, and then ends. Returns the number of bytes. */
async function endCopied(process: SandboxProcess, seeds: Seeds): Promise<number> {
  const readings: Reading[] = [];
  readings.push(read(process, acknowledgeFor(process, readings)));
  await process.closeInput();
  await Promise.all(readings.map(async ({ done }) => await done));
  return readings.reduce((sum, reading) => sum + check(reading, seeds), 0);
}

export interface OutputWorld extends AsyncDisposable {
  /** Returns how many bytes arrived. Throws if one is wrong, missing or repeated. */
  play(round: Round): Promise<number>;
}

/** A sandbox whose client, server and processes are disturbed while a program in it prints and echoes. */
export async function openOutputWorld(server: ServerProcess): Promise<OutputWorld> {
  const direct = await Sandbox.create('base', { ...connectionOf(server), timeoutMs, retries: 20 });
  const proxy = await startFaultProxy(server.port);
  const { apiKey, apiUrl } = connectionOf(server);
  const throughProxy = ({ sandboxId, envdAccessToken }: Sandbox): Sandbox =>
    new Sandbox({
      ...{ sandboxId, envdAccessToken, apiKey, apiUrl, sandboxUrl: `http://127.0.0.1:${proxy.port}` },
      // A loaded machine may need long for several restarts.
      ...{ retries: 60, requestTimeoutMs: 0 },
    });
  const disturbances: Readonly<Record<Step['kind'], () => Promise<Sandbox | undefined>>> = {
    async cut() {
      proxy.cutAll();
      await Promise.resolve();
      return undefined;
    },
    async pause() {
      await direct.pause();
      await direct.connect({ timeoutMs });
      return undefined;
    },
    async fork() {
      const [copy] = await direct.fork();
      if (copy instanceof SoulBoxError || copy === undefined) throw copy ?? new Error('There is no copy.');
      return copy;
    },
    async 'kill-gateway'() {
      const pid = await pidOfPart(server, 'gateway');
      if (pid === undefined) throw new Error('There is no gateway.');
      process.kill(pid, 'SIGKILL');
      await until('another gateway answers', async () => await direct.isRunning().catch(() => false), 30_000);
      return undefined;
    },
    async 'kill-server'() {
      await server.kill9();
      await server.restart();
      return undefined;
    },
  };

  return {
    async play({ steps, faults, seed }) {
      const before = proxy.accepted;
      proxy.setFault((count) => faults[count - before] ?? { kind: 'none' });
      const seeds = { stdout: `out${seed}`, stderr: `in${seed}` };
      const started = await throughProxy(direct).process.start('python3', ['-u', '-c', program, seeds.stdout], {
        ...{ stdin: true, log: { policy: 'block', maxBytes: logBytes } },
      });
      const readings: Reading[] = [];
      const acknowledge = acknowledgeFor(started, readings);
      readings.push(read(started, acknowledge), read(started, acknowledge));
      const writing = write(started, seeds.stderr);
      const copies: Sandbox[] = [];
      const copied: Promise<number>[] = [];
      try {
        for (const { kind, afterMs } of steps) {
          await sleep(afterMs);
          const copy = await disturbances[kind]();
          if (copy === undefined) continue;
          copies.push(copy);
          const reading = throughProxy(copy)
            .process.get(started.id)
            .then(async (same) => await endCopied(same, seeds));
          reading.catch(() => undefined);
          copied.push(reading);
        }
        const marks = readings.map(({ position }) => position);
        const hasMore = (): boolean => readings.every(({ position }, index) => position > (marks[index] ?? 0));
        await until('output after the last step', hasMore, 60_000);
        const written = await writing.stop();
        await started.closeInput();
        await Promise.all(readings.map(async ({ done }) => await done));
        const echoed = readings.map(({ byStream }) => byStream.get('stderr')?.length ?? 0);
        if (echoed.some((length) => length !== written))
          throw new Error(`${written} bytes became ${echoed.join(', ')}.`);
        const counts = [...readings.map((reading) => check(reading, seeds)), ...(await Promise.all(copied))];
        await started.forget();
        return counts.reduce((sum, bytes) => sum + bytes, 0);
      } finally {
        await writing.stop().catch(() => undefined);
        await Promise.all(copies.map(async (copy) => await copy.kill()));
      }
    },
    async [Symbol.asyncDispose]() {
      await direct.kill();
      await proxy[Symbol.asyncDispose]();
    },
  };
}
