import type { Sandbox } from 'e2b';
import type { Figure, Measurement } from '../measurement.ts';
import { timeMs } from '../time.ts';

const mib = 2 ** 20;
const chunk = new Uint8Array(mib).fill(0x5a);
const remote = '/home/user/transfer';

interface Size {
  readonly name: string;
  readonly bytes: number;
  readonly rounds: number;
}

const small: readonly Size[] = [
  { name: '1 KiB', bytes: 1024, rounds: 100 },
  { name: '1 MiB', bytes: mib, rounds: 50 },
];
const large = { name: '256 MiB', bytes: 256 * mib, rounds: 6 };

export const transfer: Measurement = {
  name: 'transfer',
  async *run(lab) {
    const sandbox = await lab.create(lab.warm);
    await lab.settle(lab.warm, 1);
    for (const size of small) {
      lab.progress(`upload and download of ${size.name}`);
      yield* await transferWhole(sandbox, size);
    }
    lab.progress(`upload and download of ${large.name}`);
    yield* await transferStream(sandbox);
    await sandbox.kill();
  },
};

/** The most common calls: a buffer in, a buffer out. */
async function transferWhole(sandbox: Sandbox, { name, bytes, rounds }: Size): Promise<Figure[]> {
  const content = chunk.slice(0, bytes).buffer;
  const up: number[] = [];
  const down: number[] = [];
  for (let round = -5; round < rounds; round++) {
    const upMs = await timeMs(async () => await sandbox.files.write(remote, content));
    const downMs = await timeMs(async () => {
      checkSize((await sandbox.files.read(remote, { format: 'bytes' })).length, bytes);
    });
    if (round < 0) continue;
    up.push(upMs);
    down.push(downMs);
  }
  return [
    { what: `upload ${name}`, unit: 'ms', samples: up },
    { what: `download ${name}`, unit: 'ms', samples: down },
  ];
}

/**
 * Streams, so that the client does not hold the file in memory. The file is removed between rounds: each round writes
 * new blocks.
 */
async function transferStream(sandbox: Sandbox): Promise<Figure[]> {
  const up: number[] = [];
  const down: number[] = [];
  const rate = (ms: number): number => large.bytes / mib / (ms / 1000);
  for (let round = -1; round < large.rounds; round++) {
    const upMs = await timeMs(async () => await sandbox.files.write(remote, streamOf(large.bytes)));
    const downMs = await timeMs(async () => {
      const stream = await sandbox.files.read(remote, { format: 'stream' });
      let size = 0;
      for await (const part of stream) size += part.length;
      checkSize(size, large.bytes);
    });
    await sandbox.files.remove(remote);
    if (round < 0) continue;
    up.push(rate(upMs));
    down.push(rate(downMs));
  }
  const aims = [{ at: 'p50', atLeast: 400 }] as const;
  return [
    { what: `upload ${large.name}, streamed`, unit: 'MiB/s', samples: up, aims },
    { what: `download ${large.name}, streamed`, unit: 'MiB/s', samples: down, aims },
  ];
}

function streamOf(bytes: number): ReadableStream<Uint8Array> {
  let left = bytes;
  return new ReadableStream({
    pull(controller) {
      if (left <= 0) {
        controller.close();
        return;
      }
      const part = chunk.subarray(0, Math.min(left, chunk.length));
      left -= part.length;
      controller.enqueue(part);
    },
  });
}

function checkSize(actual: number, wanted: number): void {
  if (actual !== wanted) throw new Error(`read ${actual} bytes back, ${wanted} were written`);
}
