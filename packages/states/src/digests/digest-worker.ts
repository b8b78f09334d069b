import { hash } from 'node:crypto';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import type { DigestAnswer, DigestJob, DigestResult } from './digest-job.ts';
import { blockBytes, blockLength } from './digest-job.ts';
import { beginWriteBack, seekData, seekHole } from './file-calls.ts';

const block = Buffer.allocUnsafeSlow(blockBytes);

parentPort?.on('message', (job: DigestJob) => parentPort?.postMessage(answer(job)));

function answer(job: DigestJob): DigestAnswer {
  try {
    return { ok: true, result: withFile(job.path, (fd) => (job.kind === 'digest' ? digest(fd, job) : findData(fd))) };
  } catch (error) {
    // Not isNodeError: all of base, with its logger, would be loaded into each thread.
    const { message, code } = error as NodeJS.ErrnoException;
    return { ok: false, message, code };
  }
}

function withFile(path: string, act: (fd: number) => DigestResult): DigestResult {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return act(fd);
  } finally {
    closeSync(fd);
  }
}

function digest(fd: number, job: DigestJob & { kind: 'digest' }): string[] {
  if (job.writeBack) beginWriteBack(fd, job.first * blockBytes, job.count * blockBytes);
  return Array.from({ length: job.count }, (_, index) => digestBlock(fd, job.first + index, job.sizeBytes));
}

function digestBlock(fd: number, number: number, sizeBytes: number): string {
  const length = blockLength(number, sizeBytes);
  let filled = 0;
  while (filled < length) {
    const read = readSync(fd, block, filled, length - filled, number * blockBytes + filled);
    if (read === 0) break;
    filled += read;
  }
  // A file that ends early gets the digest of what is there, which matches no whole block.
  return hash('sha256', block.subarray(0, filled), 'hex');
}

function findData(fd: number): number[] {
  const blocks: number[] = [];
  for (let start = seekData(fd, 0); start !== undefined;) {
    const last = Math.floor((seekHole(fd, start) - 1) / blockBytes);
    for (let number = Math.floor(start / blockBytes); number <= last; number += 1) blocks.push(number);
    start = seekData(fd, (last + 1) * blockBytes);
  }
  return blocks;
}
