// A background thread that reads files, see digest-job.ts. Plain JavaScript, because a thread that must strip types
// first needs 90 ms to start instead of 35, and 10 to 20 MB more.
import { hash } from 'node:crypto';
import { closeSync, constants, fchmodSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { openInPlace, sealInPlace } from '@soulbox/keyring/block-cipher';
import koffi from 'koffi';

// Loads the symbols of the process itself, so it works with every libc that Node is linked against.
const libc = koffi.load(null);
const lseek = libc.func('int64 lseek(int fd, int64 offset, int whence)');
const fallocate = libc.func('int fallocate(int fd, int mode, int64 offset, int64 length)');
const syncFileRange = libc.func('int sync_file_range(int fd, int64 offset, int64 length, uint flags)');

// lseek(2), sync_file_range(2). The numbers are the same on every architecture that Node supports.
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const ENXIO = 6;
const SYNC_FILE_RANGE_WRITE = 2;
// fallocate(2).
const FALLOC_FL_PUNCH_HOLE = 2;
const FALLOC_FL_KEEP_SIZE = 1;

// Only for this thread: Linux has a nice value for each thread (setpriority(2), "C library/kernel differences").
if (workerData.nice > 0) setPriority(workerData.nice);

let block = Buffer.alloc(0);

parentPort.on('message', (message) => {
  // `endOfThread` of digest-job.ts.
  if (message === 'end') parentPort.close();
  else parentPort.postMessage(message.map(answer));
});

const acts = { digest, 'find-data': findData, encrypt, decrypt };

function answer(job) {
  try {
    return {
      ok: true,
      result: withFile(job.path, job.punch === true ? constants.O_RDWR : constants.O_RDONLY, (fd) =>
        acts[job.kind](fd, job),
      ),
    };
  } catch ({ message, code }) {
    return { ok: false, message, code };
  }
}

function withFile(path, flags, act) {
  const fd = openSync(path, flags | constants.O_NOFOLLOW, 0o600);
  try {
    return act(fd);
  } finally {
    closeSync(fd);
  }
}

function digest(fd, { offset, length, blockBytes, writeBack }) {
  // Only a hint, so a file system that does not support it is no error.
  if (writeBack) syncFileRange(fd, offset, length, SYNC_FILE_RANGE_WRITE);
  prepareBlock(blockBytes);
  const digests = [];
  for (let at = 0; at < length; at += blockBytes) {
    digests.push(digestBlock(fd, offset + at, Math.min(blockBytes, length - at)));
  }
  return digests;
}

/** A file that ends early gets the digest of the existing bytes, which is not the digest of a complete block. */
function digestBlock(fd, offset, length) {
  return hash('sha256', readBlock(fd, offset, length), 'hex');
}

function prepareBlock(blockBytes) {
  if (block.length !== blockBytes) block = Buffer.allocUnsafeSlow(blockBytes);
}

/** Valid until the next call. Shorter at the end of the file. */
function readBlock(fd, offset, length) {
  let filled = 0;
  let read = -1;
  while (filled < length && read !== 0) {
    read = readSync(fd, block, filled, length - filled, offset + filled);
    filled += read;
  }
  return block.subarray(0, filled);
}

function encrypt(fd, { target, offset, length, blockBytes, key, places, punch, inode }) {
  if (inode !== undefined && fstatSync(fd).ino !== inode) throw new Error('A part was replaced while it was read.');
  prepareBlock(blockBytes);
  const seals = withFile(target, constants.O_WRONLY | constants.O_CREAT, (out) => {
    const made = places.map((place, index) => {
      const at = index * blockBytes;
      const plain = readBlock(fd, offset + at, Math.min(blockBytes, length - at));
      if (plain.length < Math.min(blockBytes, length - at)) throw new Error('A part became shorter while it was read.');
      const seal = sealInPlace(key, place, plain);
      writeAll(out, plain, offset + at);
      return seal;
    });
    syncFileRange(out, offset, length, SYNC_FILE_RANGE_WRITE);
    return made;
  });
  return { seals, isFreed: punch && punchHole(fd, offset, length) };
}

function decrypt(fd, { target, offset, length, blockBytes, key, places, seals, mode }) {
  prepareBlock(blockBytes);
  return withFile(target, constants.O_WRONLY | constants.O_CREAT, (out) => {
    if (mode !== undefined) fchmodSync(out, mode);
    return places.flatMap((place, index) => {
      const at = index * blockBytes;
      const bytes = readBlock(fd, offset + at, Math.min(blockBytes, length - at));
      if (!openInPlace(key, place, bytes, seals[index])) return [index];
      writeAll(out, bytes, offset + at);
      return [];
    });
  });
}

function writeAll(fd, bytes, position) {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}

/** Only a help for a host with little memory, so that a file system that cannot do it is no error. Whether it worked. */
function punchHole(fd, offset, length) {
  return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) === 0;
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
