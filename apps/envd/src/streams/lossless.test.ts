/** @module-tag violation */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { LogPolicy, OutputStream } from '@soulbox/contract/process-v1';
import { startFaultProxy } from '@soulbox/testing/fault-proxy';
import type { Fault, FaultProxy } from '@soulbox/testing/fault-proxy';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createClients } from '../testing/clients.ts';
import type { TestEnvd } from '../testing/start-envd.ts';
import { startEnvd } from '../testing/start-envd.ts';
import { findTestRoot } from '../testing/test-root.ts';

/** The long form: `SOULBOX_TEST_RUNS=300 npx vitest run --project unit apps/envd/src/streams/lossless.test.ts`. */
const numRuns = Number(process.env['SOULBOX_TEST_RUNS'] ?? 6);

let envd: TestEnvd;
let proxy: FaultProxy;
let direct: ReturnType<typeof createClients>['streams'];
beforeAll(async () => {
  envd = await startEnvd(await findTestRoot());
  proxy = await startFaultProxy(envd.port);
  direct = createClients(envd.baseUrl).streams;
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await envd[Symbol.asyncDispose]();
});

const ways = [
  { protocol: 'connect', httpVersion: '1.1', useBinaryFormat: false },
  { protocol: 'connect', httpVersion: '2', useBinaryFormat: true },
  { protocol: 'grpc', httpVersion: '2', useBinaryFormat: true },
] as const;

const fault: fc.Arbitrary<Fault> = fc
  .record({
    direction: fc.constantFrom('up' as const, 'down' as const),
    afterBytes: fc.oneof(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 0, max: 300_000 })),
    kind: fc.constantFrom('reset' as const, 'cut' as const, 'half-close' as const, 'delay' as const),
  })
  .map(({ direction, afterBytes, kind }) => {
    if (kind === 'delay') return { kind, direction, ms: 5 };
    return kind === 'reset' ? { kind: 'cut', direction, afterBytes, reset: true } : { kind, direction, afterBytes };
  });

type Streams = typeof direct;

/** Attaches again from where it was until the end, and acknowledges. Returns the bytes of each stream. */
async function readThrough(connect: () => Streams, processId: string): Promise<Record<'out' | 'error', Buffer>> {
  const parts: Record<'out' | 'error', Buffer[]> = { out: [], error: [] };
  let position = 0n;
  for (let attempts = 0; attempts < 200; attempts += 1) {
    try {
      const from = { from: { case: 'position' as const, value: position } };
      for await (const { event } of connect().attach({ processId, from })) {
        const inner = event?.event;
        if (inner?.case === 'gap') throw new RangeError('There is a gap.');
        if (inner?.case === 'ended') {
          expect(inner.value.position).toBe(position);
          return { out: Buffer.concat(parts.out), error: Buffer.concat(parts.error) };
        }
        if (inner?.case !== 'output') continue;
        expect(inner.value.position).toBe(position);
        parts[inner.value.stream === OutputStream.STDERR ? 'error' : 'out'].push(Buffer.from(inner.value.data));
        position += BigInt(inner.value.data.length);
        await direct.acknowledge({ processId, position });
      }
    } catch (error) {
      if (error instanceof RangeError || (error as Error).name === 'AssertionError') throw error;
    }
  }
  throw new Error('The stream never ended.');
}

/** Repeats each write until it is confirmed. */
async function writeThrough(
  connect: () => Streams,
  processId: string,
  bytes: Buffer,
  pieceBytes: number,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const input = { position: BigInt(at), data: bytes.subarray(at, at + pieceBytes) };
    for (let attempts = 0; ; attempts += 1) {
      try {
        await connect().write({ processId, writer: 'w', input }, { timeoutMs: 1000 });
        break;
      } catch (error) {
        if (attempts > 100) throw error;
      }
    }
  }
  await direct.closeInput({ processId });
}

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test('whatever breaks on the way, every byte arrives once, in both directions', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...ways),
      fc.array(fault, { maxLength: 12 }),
      fc.integer({ min: 100, max: 200_000 }),
      fc.integer({ min: 1, max: 600_000 }),
      fc.integer(),
      async (way, faults, pieceBytes, sizeBytes, seed) => {
        // New connections for each call, so that each planned fault meets one.
        const connect = (): Streams => createClients(`http://127.0.0.1:${proxy.port}`, way).streams;
        const bytes = Buffer.alloc(sizeBytes);
        for (let index = 0, value = seed; index < sizeBytes; index += 1) {
          value = (Math.imul(value, 1_664_525) + 1_013_904_223) | 0;
          bytes[index] = value >>> 24;
        }
        const started = await direct.start({
          command: { program: '/bin/bash', args: ['-c', 'tee >(cat >&2)'] },
          hasInput: true,
          log: { maxBytes: 65_536n, policy: LogPolicy.BLOCK },
        });
        const id = started.process?.id ?? '';
        const before = proxy.accepted;
        proxy.setFault((count) => faults[count - before] ?? { kind: 'none' });
        const pieces = Math.max(pieceBytes, Math.ceil(sizeBytes / 20));
        const [{ out, error }] = await Promise.all([
          readThrough(connect, id),
          writeThrough(connect, id, bytes, pieces),
        ]);
        expect([hash(out), hash(error)]).toEqual([hash(bytes), hash(bytes)]);
        await direct.forget({ processId: id });
      },
    ),
    { numRuns },
  );
}, 600_000);
