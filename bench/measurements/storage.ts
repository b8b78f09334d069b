import { spawn } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { removeTree } from '@soulbox/base';
import { openObjectStore } from '@soulbox/storage/objects';
import type { ObjectStore } from '@soulbox/storage/objects';
import type { Measurement } from '../measurement.ts';
import { timeMs } from '../time.ts';
import { resumeFromStore } from './stored-resume.ts';

const mib = 1024 * 1024;
const size = 64 * mib;
const partBytes = 8 * mib;
const smallCount = 50;

/**
 * The interface to object stores beside the bare SDK of S3, in turns, against a server that stores nothing; and a resume
 * from a store.
 */
export const storage: Measurement = {
  name: 'storage',
  async *run(lab) {
    await using sink = await startSink();
    const credentials = { accessKeyId: 'a', secretAccessKey: 'b' };
    const folder = await mkdtemp(join(tmpdir(), 'soulbox-bench-'));
    const credentialsFile = join(folder, 'credentials');
    await writeFile(credentialsFile, JSON.stringify(credentials), { mode: 0o600 });
    const settings = { region: 'us-east-1', endpoint: sink.url, forcePathStyle: true, maxAttempts: 1 } as const;
    const checksums = {
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    } as const;
    const bare = new S3Client({ ...settings, ...checksums, credentials });
    await using store = await openObjectStore(`s3://bucket?region=us-east-1&endpoint=${sink.url}`, { credentialsFile });
    const rounds = Math.max(5, Math.round(lab.rounds / 5));
    lab.progress(`uploads and downloads of 64 MiB, ${rounds} times each`);
    const content = Buffer.alloc(size, 'content');
    const pairs = [
      {
        what: 'upload of 64 MiB in parts',
        bytes: size,
        bare: () => uploadBare(bare, content),
        ours: () => uploadOurs(store, content),
      },
      { what: 'download of 64 MiB', bytes: size, bare: () => downloadBare(bare), ours: () => downloadOurs(store) },
      {
        what: `${smallCount} objects of 4 KiB`,
        bytes: smallCount * 4096,
        bare: () => smallBare(bare),
        ours: () => smallOurs(store),
      },
    ];
    for (const pair of pairs) {
      const rates = { bare: [] as number[], ours: [] as number[] };
      for (let round = -2; round < rounds; round++) {
        for (const who of ['bare', 'ours'] as const) {
          const ms = await timeMs(pair[who]);
          if (round >= 0) rates[who].push(pair.bytes / mib / (ms / 1000));
        }
      }
      yield { what: `${pair.what}, bare SDK of S3`, unit: 'MiB/s', samples: rates.bare };
      const atLeast = 0.8 * median(rates.bare);
      yield {
        what: `${pair.what}, object store`,
        unit: 'MiB/s',
        samples: rates.ours,
        aims: [{ at: 'p50', atLeast }],
        note: 'aim: 80 % of the bare SDK',
      };
    }
    bare.destroy();
    await removeTree(folder);
    yield* resumeFromStore(lab);
  },
};

function median(samples: readonly number[]): number {
  return samples.toSorted((a, b) => a - b)[Math.floor(samples.length / 2)] ?? 0;
}

async function startSink(): Promise<{ readonly url: string } & AsyncDisposable> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../sink-s3.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const { value: port } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  return {
    url: `http://127.0.0.1:${String(port)}`,
    async [Symbol.asyncDispose]() {
      child.kill();
      await ended;
    },
  };
}

const object = { Bucket: 'bucket', Key: 'a' };

/** Four parts at once, as the object store does it, without copies of the content. */
async function uploadBare(client: S3Client, content: Buffer): Promise<void> {
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(object));
  const Parts: { ETag: string | undefined; PartNumber: number }[] = [];
  let next = 1;
  const lane = async (): Promise<void> => {
    while ((next - 1) * partBytes < size) {
      const PartNumber = next++;
      const Body = content.subarray((PartNumber - 1) * partBytes, PartNumber * partBytes);
      const { ETag } = await client.send(new UploadPartCommand({ ...object, UploadId, PartNumber, Body }));
      Parts[PartNumber - 1] = { ETag, PartNumber };
    }
  };
  await Promise.all([lane(), lane(), lane(), lane()]);
  await client.send(new CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload: { Parts } }));
}

async function uploadOurs(store: ObjectStore, content: Buffer): Promise<void> {
  await store.put('a', content);
}

async function downloadBare(client: S3Client): Promise<void> {
  const { Body } = await client.send(new GetObjectCommand(object));
  await count(Body as AsyncIterable<Uint8Array>);
}

async function downloadOurs(store: ObjectStore): Promise<void> {
  await count((await store.get('a')).body);
}

async function count(body: AsyncIterable<Uint8Array>): Promise<void> {
  let received = 0;
  for await (const chunk of body) received += chunk.length;
  if (received !== size) throw new Error(`${received} bytes were received, not ${size}.`);
}

const small = Buffer.alloc(4096);

async function smallBare(client: S3Client): Promise<void> {
  for (let index = 0; index < smallCount; index++) await client.send(new PutObjectCommand({ ...object, Body: small }));
}

async function smallOurs(store: ObjectStore): Promise<void> {
  for (let index = 0; index < smallCount; index++) await store.put('a', small);
}
