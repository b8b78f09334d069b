// A background thread that reads files, see digest-job.ts. Plain JavaScript, because a thread that must strip types
// first needs 90 ms to start instead of 35, and 10 to 20 MB more.
import { hash } from 'node:crypto';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import koffi from 'koffi';

// Loads the symbols of the process itself, so it works with every libc that Node is linked against.
const libc = koffi.load(null);
const lseek = libc.func('int64 lseek(int fd, int64 offset, int whence)');
const syncFileRange = libc.func('int sync_file_range(int fd, int64 offset, int64 length, uint flags)');

// lseek(2), sync_file_range(2). The numbers are the same on every architecture that Node supports.
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const ENXIO = 6;
const SYNC_FILE_RANGE_WRITE = 2;

// Only for this thread: Linux has a nice value for each thread (setpriority(2), "C library/kernel differences").
if (workerData.nice > 0) setPriority(workerData.nice);

let block = Buffer.alloc(0);

parentPort.on('message', (job) => {
  // `endOfThread` of digest-job.ts.
  if (job === 'end') parentPort.close();
  else parentPort.postMessage(answer(job));
});

function answer(job) {
  try {
    return {
      ok: true,
      result: withFile(job.path, (fd) => (job.kind === 'digest' ? digest(fd, job) : findData(fd, job))),
    };
  } catch ({ message, code }) {
    return { ok: false, message, code };
  }
}

function withFile(path, act) {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return act(fd);
  } finally {
    closeSync(fd);
  }
}

function digest(fd, { offset, length, blockBytes, writeBack }) {
  // Only a hint, so a file system that does not support it is no error.
  if (writeBack) syncFileRange(fd, offset, length, SYNC_FILE_RANGE_WRITE);
  if (block.length !== blockBytes) block = Buffer.allocUnsafeSlow(blockBytes);
  const digests = [];
  for (let at = 0; at < length; at += blockBytes) {
    digests.push(digestBlock(fd, offset + at, Math.min(blockBytes, length - at)));
  }
  return digests;
}

/** A file that ends early gets the digest of the existing bytes, which is not the digest of a complete block. */
function digestBlock(fd, offset, length) {
  let filled = 0;
  let read = -1;
  while (filled < length && read !== 0) {
    read = readSync(fd, block, filled, length - filled, offset + filled);
    filled += read;
  }
  return hash('sha256', block.subarray(0, filled), 'hex');
}

function findData(fd, { blockBytes }) {
  const blocks = [];
  let start = seek(fd, 0, SEEK_DATA);
  while (start !== undefined) {
    const end = Math.ceil(seek(fd, start, SEEK_HOLE) / blockBytes);
    for (let number = Math.floor(start / blockBytes); number < end; number += 1) blocks.push(number);
    start = seek(fd, end * blockBytes, SEEK_DATA);
  }
  return blocks;
}

/** Undefined when the rest of the file is a hole. */
function seek(fd, offset, whence) {
  const found = Number(lseek(fd, offset, whence));
  if (found >= 0) return found;
  if (koffi.errno() === ENXIO) return undefined;
  throw new Error(`lseek: errno ${koffi.errno()}`);
}
