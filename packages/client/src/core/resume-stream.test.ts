/** @module-tag violation */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { resumeStream } from './resume-stream.ts';
import type { Offsets, ResumableStream } from './resume-stream.ts';

afterEach(() => void vi.useRealTimers());

interface Piece {
  readonly channel: string;
  readonly offset: bigint;
  readonly bytes: Uint8Array;
  readonly isLast?: boolean;
}

const broke = (): Error => Object.assign(new Error('reset'), { code: 'ECONNRESET' });
const fast = { initialDelayMs: 1, maxDelayMs: 1, attempts: 20, budgetMs: 60_000 };
const stream = (open: ResumableStream<Piece>['open']): ResumableStream<Piece> => ({
  name: 'test',
  open,
  positionOf: ({ channel, offset, bytes, isLast }) =>
    isLast === true ? undefined : { channel, start: offset, end: offset + BigInt(bytes.length) },
  trim: (piece, skip) => ({ ...piece, offset: piece.offset + skip, bytes: piece.bytes.subarray(Number(skip)) }),
  isLast: ({ isLast }) => isLast === true,
});
const last: Piece = { channel: '', offset: 0n, bytes: new Uint8Array(), isLast: true };
const piece = (offset: number, text: string): Piece => ({
  channel: '',
  offset: BigInt(offset),
  bytes: Buffer.from(text),
});

async function read(source: ResumableStream<Piece>, options = {}): Promise<string> {
  let text = '';
  for await (const { bytes } of resumeStream(source, { retry: fast, ...options }))
    text += Buffer.from(bytes).toString();
  return text;
}

/** Each opening plays the next script; a script that throws is a cut. */
function scripted(...scripts: (readonly (Piece | Error)[])[]) {
  const asked: bigint[] = [];
  const open = async function* (from: Offsets): AsyncGenerator<Piece> {
    asked.push(from.of());
    for (const step of scripts.shift() ?? [new RangeError('nothing left')]) {
      await Promise.resolve();
      if (step instanceof Error) throw step;
      yield step;
    }
  };
  return { asked, source: stream(open) };
}

test('a cut stream continues at the first byte that is missing', async () => {
  const { asked, source } = scripted([piece(0, 'ab'), broke()], [piece(2, 'cd'), broke()], [piece(4, 'e'), last]);
  expect(await read(source)).toBe('abcde');
  expect(asked).toEqual([0n, 2n, 4n]);
});

test('an end without a last message is a cut', async () => {
  const { asked, source } = scripted([piece(0, 'ab')], [piece(2, 'c'), last]);
  expect(await read(source)).toBe('abc');
  expect(asked).toEqual([0n, 2n]);
});

test('repeated parts are dropped, and partly repeated ones trimmed', async () => {
  const { source } = scripted([piece(0, 'ab'), piece(0, 'ab'), piece(1, 'bc'), broke()], [piece(0, 'abcd'), last]);
  expect(await read(source)).toBe('abcd');
});

test('a repeated part that cannot be trimmed is an error', async () => {
  const { source } = scripted([piece(0, 'ab'), piece(1, 'bc'), last]);
  delete (source as { trim?: unknown }).trim;
  await expect(read(source)).rejects.toMatchObject({ code: 'data_loss', reason: 'stream_overlap' });
});

test('a gap is an error unless it is accepted', async () => {
  const script = [piece(0, 'ab'), piece(5, 'f'), last];
  await expect(read(scripted(script).source)).rejects.toMatchObject({ code: 'data_loss', reason: 'stream_gap' });
  const onGap = vi.fn();
  expect(await read({ ...scripted(script).source, onGap })).toBe('abf');
  expect(onGap).toHaveBeenCalledExactlyOnceWith({ channel: '', start: 2n, end: 5n });
});

test.each([
  [-1n, 'invalid_response'],
  [2n ** 70n, 'stream_gap'],
])('an offset of %s is an error', async (offset, reason) => {
  const { source } = scripted([{ channel: '', offset, bytes: Buffer.from('a') }, last]);
  await expect(read(source)).rejects.toMatchObject({ reason });
});

test('an error that waiting does not change ends it', async () => {
  const { asked, source } = scripted([piece(0, 'a'), new RangeError('defect')]);
  await expect(read(source)).rejects.toMatchObject({ code: 'unknown', message: 'defect' });
  expect(asked).toEqual([0n]);
});

test('attempts count from the last progress, and repetitions are none', async () => {
  const some = Array.from({ length: 30 }, (_, n) => [piece(n, 'x'), broke()]);
  expect(await read(scripted(...some, [last]).source, { retry: { ...fast, attempts: 2 } })).toBe('x'.repeat(30));
  const { asked, source } = scripted(...Array.from({ length: 30 }, () => [piece(0, 'x'), broke()]));
  await expect(
    read(source, { retry: { ...fast, maxDelayMs: 1000, attempts: 5 }, random: () => 0 }),
  ).rejects.toMatchObject({ reason: 'unreachable' });
  expect(asked).toHaveLength(5);
});

test('a stream that lasts is not given up because it is idle', async () => {
  vi.useFakeTimers();
  let opened = 0;
  const idle = stream(async function* () {
    opened += 1;
    yield { channel: 'keepalive', offset: 0n, bytes: new Uint8Array() };
    await new Promise((resolve) => setTimeout(resolve, 60_000));
    if (opened < 50) throw broke();
    yield last;
  });
  const text = read(idle, { retry: { attempts: 3 } });
  await vi.advanceTimersByTimeAsync(60 * 70_000);
  expect(await text).toBe('');
  expect(opened).toBe(50);
});

test('a silent stream counts as cut, and its resources are given back', async () => {
  const signals: AbortSignal[] = [];
  const silent = stream((from, signal) => {
    signals.push(signal);
    const never = {
      [Symbol.asyncIterator]: () => ({ next: () => new Promise<IteratorResult<Piece>>(() => undefined) }),
    };
    return signals.length < 3 ? never : scripted([piece(Number(from.of()), 'ok'), last]).source.open(from, signal);
  });
  expect(await read(silent, { silenceMs: 20 })).toBe('ok');
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, true]);
});

test('an abort ends it at once, in a wait and in a stream that does not notice', async () => {
  for (const script of [[broke()], []]) {
    const abort = new AbortController();
    const source = stream((from, signal) =>
      script.length > 0
        ? scripted(script).source.open(from, signal)
        : { [Symbol.asyncIterator]: () => ({ next: () => new Promise<IteratorResult<Piece>>(() => undefined) }) },
    );
    const retry = { attempts: 3, initialDelayMs: 60_000, maxDelayMs: 60_000, budgetMs: 600_000 };
    const reading = read(source, { retry, random: () => 0.9, signal: abort.signal });
    setTimeout(() => abort.abort(), 20);
    await expect(reading).rejects.toMatchObject({ reason: 'aborted' });
  }
});

test('a reader that leaves ends the stream', async () => {
  let signal: AbortSignal | undefined;
  const endless = stream(async function* (_from, own) {
    signal = own;
    for (let at = 0; ; at++) yield await Promise.resolve(piece(at, 'x'));
  });
  for await (const { offset } of resumeStream(endless, { retry: fast })) if (offset === 5n) break;
  expect(signal?.aborted).toBe(true);
});

test('over hundreds of random cuts, repetitions and overlaps every byte arrives once, on each channel', async () => {
  const script = fc.record({
    sizes: fc.array(fc.tuple(fc.constantFrom('out', 'err'), fc.integer({ min: 0, max: 2000 })), {
      minLength: 1,
      maxLength: 40,
    }),
    // For each opening: messages until the cut, bytes that are repeated, whether the end is clean.
    cuts: fc.array(fc.tuple(fc.nat(6), fc.nat(300), fc.boolean()), { minLength: 5, maxLength: 40 }),
  });
  let cuts = 0;
  await fc.assert(
    fc.asyncProperty(script, async (plan) => {
      const logs = new Map<string, Buffer>();
      const messages = plan.sizes.map(([channel, size], index) => {
        const before = logs.get(channel) ?? Buffer.alloc(0);
        const bytes = Buffer.alloc(size, `${channel}${index}.`);
        logs.set(channel, Buffer.concat([before, bytes]));
        return { channel, offset: BigInt(before.length), bytes };
      });
      let opening = 0;
      const source = stream(async function* (from) {
        const [most, repeated, isClean] = plan.cuts[opening++] ?? [Infinity, 0, true];
        let sent = 0;
        for (const { channel, offset, bytes } of messages) {
          if (offset + BigInt(bytes.length) <= from.of(channel) - BigInt(repeated)) continue;
          if (sent++ >= most) {
            cuts += 1;
            if (isClean) return;
            throw broke();
          }
          yield await Promise.resolve({ channel, offset, bytes });
        }
        yield last;
      });
      const hashes = new Map([...logs.keys()].map((channel) => [channel, createHash('sha256')]));
      const retry = { ...fast, attempts: 100 };
      for await (const { channel, bytes } of resumeStream(source, { retry, random: () => 0 }))
        if (channel !== '') hashes.get(channel)?.update(bytes);
      for (const [channel, log] of logs)
        expect(hashes.get(channel)?.digest('hex')).toBe(createHash('sha256').update(log).digest('hex'));
    }),
    { numRuns: 150 },
  );
  expect(cuts).toBeGreaterThan(300);
});
