import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import {
  lstat,
  link,
  mkdir,
  open,
  readdir,
  readlink,
  realpath,
  rename,
  rmdir,
  stat,
  symlink,
  unlink,
} from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { attributesOf, noAttributes, readAttributes, setAttributes, setOwnAttributes } from './attributes.ts';
import { createReader, text, u32, u64 } from './wire.ts';
import type { Reader } from './wire.ts';

// An SFTP server of version 3 (draft-ietf-secsh-filexfer-02) on standard input and output, as sshd starts one. It runs in
// the sandbox as the tenant's user, so the kernel decides what it may do. One request is served at a time: there is never
// more than one packet in memory.

const version = 3;
/** OpenSSH's clients send and ask for at most 255 KiB. */
const packetMaxBytes = 256 * 1024;
const readMaxBytes = 255 * 1024;
const handlesMax = 1000;
const namesPerAnswer = 100;

const request = {
  ...{ init: 1, open: 3, close: 4, read: 5, write: 6, lstat: 7, fstat: 8, setstat: 9, fsetstat: 10, opendir: 11 },
  ...{ readdir: 12, remove: 13, mkdir: 14, rmdir: 15, realpath: 16, stat: 17, rename: 18, readlink: 19, symlink: 20 },
  extended: 200,
} as const;
const answer = { version: 2, status: 101, handle: 102, data: 103, name: 104, attributes: 105, extended: 201 } as const;
const status = { ok: 0, eof: 1, noSuchFile: 2, denied: 3, failure: 4, badMessage: 5, unsupported: 8 } as const;
const openFlags = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const;

type Handle =
  | { readonly kind: 'file'; readonly file: FileHandle; readonly path: Buffer; readonly appends: boolean }
  | { readonly kind: 'folder'; readonly names: Buffer[]; readonly path: Buffer };

const handles = new Map<string, Handle>();
let nextHandle = 0;

class Refusal extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

const packet = (type: number, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat([Buffer.from([type]), ...parts]);
  return Buffer.concat([u32(body.length), body]);
};
const statusOf = (id: number, code: number, message = ''): Buffer =>
  packet(answer.status, u32(id), u32(code), text(message), text(''));

function refusalOf(id: number, thrown: unknown): Buffer {
  if (thrown instanceof Refusal) return statusOf(id, thrown.code, thrown.message);
  const { code, message } = thrown as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP')
    return statusOf(id, status.noSuchFile, 'No such file');
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return statusOf(id, status.denied, 'Permission denied');
  return statusOf(id, status.failure, message);
}

function keep(handle: Handle): Buffer {
  if (handles.size >= handlesMax) throw new Refusal(status.failure, 'Too many open files');
  const name = String((nextHandle += 1));
  handles.set(name, handle);
  return text(name);
}

function find(reader: Reader): Handle & { readonly name: string } {
  const name = reader.bytes().toString('latin1');
  const handle = handles.get(name);
  if (handle === undefined) throw new Refusal(status.failure, 'Invalid handle');
  return { ...handle, name };
}

function findFile(reader: Reader): Handle & { kind: 'file' } {
  const handle = find(reader);
  if (handle.kind !== 'file') throw new Refusal(status.failure, 'Not a file');
  return handle;
}

/** An empty path is the folder in which the server runs, the home of the user. */
const pathOf = (reader: Reader): Buffer => {
  const path = Buffer.from(reader.bytes());
  return path.length === 0 ? Buffer.from('.') : path;
};

async function openFile(reader: Reader): Promise<Buffer> {
  const path = pathOf(reader);
  const wanted = reader.u32();
  const { mode = 0o666 } = readAttributes(reader);
  const has = (flag: number): boolean => (wanted & flag) !== 0;
  const access = has(openFlags.write)
    ? has(openFlags.read)
      ? constants.O_RDWR
      : constants.O_WRONLY
    : constants.O_RDONLY;
  const more =
    (has(openFlags.append) ? constants.O_APPEND : 0) |
    (has(openFlags.create) ? constants.O_CREAT : 0) |
    (has(openFlags.truncate) ? constants.O_TRUNC : 0) |
    (has(openFlags.exclusive) ? constants.O_EXCL : 0);
  // A named pipe must not block the server.
  const file = await open(path, access | more | constants.O_NOCTTY | constants.O_NONBLOCK, mode);
  return keep({ kind: 'file', file, path, appends: has(openFlags.append) });
}

async function readFile(id: number, reader: Reader): Promise<Buffer> {
  const { file } = findFile(reader);
  const at = reader.u64();
  const bytes = Buffer.allocUnsafe(Math.min(reader.u32(), readMaxBytes));
  const { bytesRead } = await file.read(bytes, 0, bytes.length, at);
  if (bytesRead === 0) return statusOf(id, status.eof, 'End of file');
  return packet(answer.data, u32(id), text(bytes.subarray(0, bytesRead)));
}

async function writeFile(reader: Reader): Promise<void> {
  const { file, appends } = findFile(reader);
  const at = reader.u64();
  const bytes = reader.bytes();
  for (let done = 0; done < bytes.length;)
    done += (await file.write(bytes, done, bytes.length - done, appends ? null : at + done)).bytesWritten;
}

/** A line as `ls -l` shows it, which old clients print. */
function longName(name: Buffer, stats: Stats): Buffer {
  const kind = stats.isDirectory() ? 'd' : stats.isSymbolicLink() ? 'l' : '-';
  const bits = Array.from('rwxrwxrwx', (letter, at) => ((stats.mode >> (8 - at)) & 1 ? letter : '-')).join('');
  const facts = [
    `${kind}${bits}`,
    stats.nlink,
    stats.uid,
    stats.gid,
    stats.size,
    stats.mtime.toISOString().slice(0, 16),
  ];
  return Buffer.concat([Buffer.from(`${facts.join(' ')} `), name]);
}

async function readFolder(id: number, reader: Reader): Promise<Buffer> {
  const handle = find(reader);
  if (handle.kind !== 'folder') throw new Refusal(status.failure, 'Not a folder');
  const entries: Buffer[] = [];
  let bytes = 0;
  while (entries.length < namesPerAnswer && bytes < packetMaxBytes / 2) {
    const name = handle.names.pop();
    if (name === undefined) break;
    const stats = await lstat(Buffer.concat([handle.path, Buffer.from('/'), name])).catch(() => undefined);
    const attributes = stats === undefined ? noAttributes : attributesOf(stats);
    const line = stats === undefined ? name : longName(name, stats);
    const encoded = Buffer.concat([text(name), text(line), attributes]);
    entries.push(encoded);
    bytes += encoded.length;
  }
  if (entries.length === 0) return statusOf(id, status.eof, 'End of folder');
  return packet(answer.name, u32(id), u32(entries.length), ...entries);
}

const nameAnswer = (id: number, path: Buffer): Buffer =>
  packet(answer.name, u32(id), u32(1), text(path), text(path), noAttributes);

/** As OpenSSH's: what does not exist yet is only made absolute. */
async function absolute(path: Buffer): Promise<Buffer> {
  try {
    return await realpath(path, { encoding: 'buffer' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const isAbsolute = path[0] === 0x2f;
    return isAbsolute ? path : Buffer.concat([Buffer.from(`${process.cwd()}/`), path]);
  }
}

async function isThere(path: Buffer): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}

async function extended(id: number, reader: Reader): Promise<Buffer> {
  const name = reader.bytes().toString('latin1');
  if (name === 'posix-rename@openssh.com') await rename(pathOf(reader), pathOf(reader));
  else if (name === 'hardlink@openssh.com') await link(pathOf(reader), pathOf(reader));
  else if (name === 'fsync@openssh.com') await findFile(reader).file.sync();
  else if (name === 'lsetstat@openssh.com') await setOwnAttributes(pathOf(reader), readAttributes(reader));
  else if (name === 'limits@openssh.com')
    return packet(answer.extended, u32(id), u64(packetMaxBytes), u64(readMaxBytes), u64(readMaxBytes), u64(handlesMax));
  else throw new Refusal(status.unsupported, 'Unsupported');
  return statusOf(id, status.ok);
}

async function serve(type: number, id: number, reader: Reader): Promise<Buffer> {
  const done = statusOf(id, status.ok);
  switch (type) {
    case request.open:
      return packet(answer.handle, u32(id), await openFile(reader));
    case request.close: {
      const handle = find(reader);
      handles.delete(handle.name);
      if (handle.kind === 'file') await handle.file.close();
      return done;
    }
    case request.read:
      return await readFile(id, reader);
    case request.write:
      await writeFile(reader);
      return done;
    case request.stat:
      return packet(answer.attributes, u32(id), attributesOf(await stat(pathOf(reader))));
    case request.lstat:
      return packet(answer.attributes, u32(id), attributesOf(await lstat(pathOf(reader))));
    case request.fstat:
      return packet(answer.attributes, u32(id), attributesOf(await findFile(reader).file.stat()));
    case request.setstat:
      await setAttributes(pathOf(reader), readAttributes(reader));
      return done;
    case request.fsetstat: {
      const { file } = findFile(reader);
      const { size, ids, mode, times } = readAttributes(reader);
      if (size !== undefined) await file.truncate(size);
      if (mode !== undefined) await file.chmod(mode);
      if (ids !== undefined) await file.chown(ids.uid, ids.gid);
      if (times !== undefined) await file.utimes(times.accessed, times.changed);
      return done;
    }
    case request.opendir: {
      const path = pathOf(reader);
      const names = await readdir(path, { encoding: 'buffer' });
      return packet(answer.handle, u32(id), keep({ kind: 'folder', names, path }));
    }
    case request.readdir:
      return await readFolder(id, reader);
    case request.remove:
      await unlink(pathOf(reader));
      return done;
    case request.mkdir: {
      const path = pathOf(reader);
      const { mode = 0o777 } = readAttributes(reader);
      await mkdir(path, { mode });
      return done;
    }
    case request.rmdir:
      await rmdir(pathOf(reader));
      return done;
    case request.realpath:
      return nameAnswer(id, await absolute(pathOf(reader)));
    case request.rename: {
      const [from, to] = [pathOf(reader), pathOf(reader)];
      // Version 3 must not replace a file.
      if (await isThere(to)) throw new Refusal(status.failure, 'The file is already there');
      await rename(from, to);
      return done;
    }
    case request.readlink:
      return nameAnswer(id, await readlink(pathOf(reader), { encoding: 'buffer' }));
    case request.symlink: {
      // OpenSSH's order, which differs from the draft: the target comes first.
      const [target, path] = [Buffer.from(reader.bytes()), pathOf(reader)];
      await symlink(target, path);
      return done;
    }
    case request.extended:
      return await extended(id, reader);
    default:
      return statusOf(id, status.unsupported, 'Unsupported');
  }
}

const extensions = ['posix-rename', 'hardlink', 'fsync', 'lsetstat', 'limits'].flatMap((name) => [
  text(`${name}@openssh.com`),
  text('1'),
]);

async function respond(body: Buffer): Promise<Buffer> {
  const reader = createReader(body);
  const type = reader.byte();
  if (type === request.init) return packet(answer.version, u32(version), ...extensions);
  const id = reader.u32();
  try {
    return await serve(type, id, reader);
  } catch (thrown) {
    return refusalOf(id, thrown);
  }
}

async function write(bytes: Buffer): Promise<void> {
  if (process.stdout.write(bytes)) return;
  await new Promise<void>((resolve) => process.stdout.once('drain', () => resolve()));
}

/** Ends with status 1 for a packet that is too large or damaged: the stream cannot be read any further. */
async function main(): Promise<number> {
  let pieces: Buffer[] = [];
  let have = 0;
  for await (const piece of process.stdin as AsyncIterable<Buffer>) {
    pieces.push(piece);
    have += piece.length;
    let bytes: Buffer | undefined;
    for (;;) {
      if (bytes === undefined && have >= 4) bytes = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
      if (bytes === undefined || bytes.length < 4) break;
      const length = bytes.readUInt32BE();
      if (length < 1 || length > packetMaxBytes) return 1;
      if (bytes.length < 4 + length) break;
      try {
        await write(await respond(bytes.subarray(4, 4 + length)));
      } catch {
        return 1;
      }
      bytes = bytes.subarray(4 + length);
    }
    if (bytes !== undefined) {
      pieces = bytes.length === 0 ? [] : [bytes];
      have = bytes.length;
    }
  }
  return 0;
}

process.stdout.on('error', () => process.exit(0));
process.exit(await main());
