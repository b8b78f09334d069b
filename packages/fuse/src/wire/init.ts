import { FuseError } from '../fuse-fs.ts';
import { argument, type Message } from './message.ts';
import { headerOutBytes, newReply } from './replies.ts';

/** Bits of the flags of INIT: 0 to 31 in the first word, the others in the second. */
const bits = {
  asyncRead: 0,
  posixLocks: 1,
  atomicTruncate: 3,
  exportSupport: 4,
  bigWrites: 5,
  flockLocks: 10,
  autoInvalidateData: 12,
  readdirplus: 13,
  readdirplusAuto: 14,
  asyncDio: 15,
  writebackCache: 16,
  parallelDirops: 18,
  maxPages: 22,
  cacheSymlinks: 23,
  handleKillprivV2: 28,
  initExt: 30,
  hasResend: 39,
  allowIdmap: 40,
} as const;

type Flag = keyof typeof bits;

const always: readonly Flag[] = [
  ...(['asyncRead', 'atomicTruncate', 'exportSupport', 'bigWrites', 'readdirplus', 'readdirplusAuto'] as const),
  ...(['asyncDio', 'parallelDirops', 'maxPages', 'cacheSymlinks', 'handleKillprivV2', 'initExt', 'hasResend'] as const),
];

/** 7.36 of Linux 5.16 has the second word of flags. */
const minMinor = 36;

export interface InitOptions {
  /** The file system does locks between its mounts. Else the kernel does those of this mount. */
  readonly locks: boolean;
  /** The kernel collects writes. Only for what has one mount: it then owns size and mtime. */
  readonly writebackCache: boolean;
  /** The kernel drops pages when it sees another mtime: for files that change elsewhere. */
  readonly autoInvalidate: boolean;
  /** Idmapped binds of the mount (Linux 6.12). */
  readonly idmap: boolean;
  readonly maxWriteBytes: number;
  /** Requests that nobody waits for, such as read-ahead, at once. */
  readonly maxBackground: number;
}

/** What both sides agreed on. It must be kept for a takeover: the kernel sends INIT only once. Plain JSON. */
export interface Negotiated {
  readonly minor: number;
  readonly maxWriteBytes: number;
  readonly flags: readonly Flag[];
}

export const pageBytes = 4096;

/** Answers INIT. */
export function negotiate(message: Message, options: InitOptions): { negotiated: Negotiated; reply: Buffer } {
  const at = argument(message, 16);
  const { buffer } = message;
  const major = buffer.readUInt32LE(at);
  const minor = buffer.readUInt32LE(at + 4);
  if (major !== 7 || minor < minMinor) {
    throw new FuseError('EIO', `The kernel speaks FUSE ${major}.${minor}; 7.${minMinor} is needed (Linux 5.16).`);
  }
  const offered = [buffer.readUInt32LE(at + 12), message.end >= at + 20 ? buffer.readUInt32LE(at + 16) : 0] as const;
  const has = (flag: Flag): boolean => ((offered[bits[flag] < 32 ? 0 : 1] >>> (bits[flag] % 32)) & 1) === 1;
  const wordOf = (flags: readonly Flag[]): number =>
    flags.reduce((word, flag) => word | (1 << (bits[flag] % 32)), 0) >>> 0;
  const wanted: Flag[] = [
    ...always,
    ...(options.locks ? (['posixLocks', 'flockLocks'] as const) : []),
    ...(options.writebackCache ? (['writebackCache'] as const) : []),
    ...(options.autoInvalidate ? (['autoInvalidateData'] as const) : []),
    ...(options.idmap ? (['allowIdmap'] as const) : []),
  ];
  const flags = wanted.filter(has);

  const reply = newReply(64);
  const out = headerOutBytes;
  reply.writeUInt32LE(7, out);
  reply.writeUInt32LE(minor, out + 4);
  reply.writeUInt32LE(buffer.readUInt32LE(at + 8), out + 8);
  reply.writeUInt32LE(wordOf(flags.filter((flag) => bits[flag] < 32)), out + 12);
  reply.writeUInt16LE(options.maxBackground, out + 16);
  reply.writeUInt16LE(Math.ceil((options.maxBackground * 3) / 4), out + 18);
  reply.writeUInt32LE(options.maxWriteBytes, out + 20);
  reply.writeUInt32LE(1, out + 24);
  reply.writeUInt16LE(Math.ceil(options.maxWriteBytes / pageBytes), out + 28);
  reply.writeUInt32LE(wordOf(flags.filter((flag) => bits[flag] >= 32)), out + 32);
  return { negotiated: { minor, maxWriteBytes: options.maxWriteBytes, flags }, reply };
}
