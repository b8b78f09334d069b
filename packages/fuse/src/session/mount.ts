import { spawn } from 'node:child_process';
import { closeSync, openSync, read as readCallback, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { parseMessage } from '../wire/message.ts';
import { negotiate, pageBytes, type InitOptions, type Negotiated } from '../wire/init.ts';
import { codeOf } from './code-of.ts';

const read = promisify(readCallback);

export interface MountOptions {
  /** An existing folder, outside of every mount that this process serves. */
  readonly mountPoint: string;
  /** What `mount` shows as the source: letters, digits and `._:/-`. Default `fuse`. */
  readonly source?: string;
  readonly readOnly?: boolean;
  /** Users other than the one who mounts may use it. Default true. */
  readonly allowOther?: boolean;
  /** Device files and setuid programs work. Default false for both. */
  readonly devices?: boolean;
  readonly setuid?: boolean;
  /** Locks are those of the file system, for files with several mounts. Default false: the kernel does them. */
  readonly locks?: boolean;
  /** The kernel collects writes. Only for files with one mount: it then owns their size and mtime. Default false. */
  readonly writebackCache?: boolean;
  /** The kernel drops pages of a file when it sees another mtime, for files that change elsewhere. Default false. */
  readonly autoInvalidate?: boolean;
  /** Idmapped binds of the mount, if the kernel has them (Linux 6.12). Default true. */
  readonly idmap?: boolean;
  /** A multiple of 4096, at most 1 MiB. Default 1 MiB. */
  readonly maxWriteBytes?: number;
  /** Requests that nobody waits for, such as read-ahead, at once. Default 64. */
  readonly maxBackground?: number;
}

export interface Mounted {
  /** The device. Whoever closes its last descriptor ends the mount. */
  readonly fd: number;
  readonly mountPoint: string;
  /** The number in /sys/fs/fuse/connections. */
  readonly connection: number;
  readonly negotiated: Negotiated;
  /** Throws if the mount is in use. The server must be running. */
  readonly unmount: () => Promise<void>;
  /**
   * Every call of now and later fails, and the mount is taken away. Works without a server, and does nothing to a mount that
   * has ended.
   */
  readonly abort: () => Promise<void>;
  /** Closes the descriptor of this process, which otherwise `serve` does. */
  readonly close: () => void;
}

const maxMaxWriteBytes = 1024 * 1024;
const mountTimeoutMs = 30_000;
const initTimeoutMs = 30_000;

function initOptions(options: ConnectionOptions): InitOptions {
  const { locks = false, writebackCache = false, autoInvalidate = false, idmap = true } = options;
  const { maxWriteBytes = maxMaxWriteBytes, maxBackground = 64 } = options;
  if (maxWriteBytes % pageBytes !== 0 || maxWriteBytes < pageBytes || maxWriteBytes > maxMaxWriteBytes) {
    throw new RangeError(`maxWriteBytes is ${maxWriteBytes}. Use a multiple of 4096, at most 1 MiB.`);
  }
  if (!Number.isInteger(maxBackground) || maxBackground < 1 || maxBackground > 0xffff) {
    throw new RangeError(`maxBackground is ${maxBackground}. Use 1 to 65535.`);
  }
  return { locks, writebackCache, autoInvalidate, idmap, maxWriteBytes, maxBackground };
}

function mountArguments(options: MountOptions, mountPoint: string): string[] {
  const { source = 'fuse', allowOther = true } = options;
  if (!/^[\w.:/-]+$/.test(source) || source.startsWith('-'))
    throw new RangeError(`"${source}" is no source of a mount.`);
  const words = [
    ...['fd=3', 'rootmode=40000', 'user_id=0', 'group_id=0', 'default_permissions'],
    ...(allowOther ? ['allow_other'] : []),
    ...(options.readOnly === true ? ['ro'] : []),
    ...(options.devices === true ? [] : ['nodev']),
    ...(options.setuid === true ? [] : ['nosuid']),
  ];
  return ['-i', '-t', 'fuse', '-o', words.join(','), source, mountPoint];
}

/** Runs mount(8) or umount(8). Asynchronously, because they may look at the mount, which this process may serve. */
async function runTool(program: string, args: readonly string[], fd?: number): Promise<void> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'pipe', ...(fd === undefined ? [] : [fd])],
    timeout: mountTimeoutMs,
    killSignal: 'SIGKILL',
  });
  let complaint = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (complaint.length < 1000) complaint += text;
  });
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject).once('close', resolve);
  const status = await promise;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed: ${complaint.trim() || 'it took too long'}`);
}

/** Octal escapes of /proc/self/mountinfo. */
function unescape(field: string): string {
  return field.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** The minor number of the device of the topmost mount there. Undefined: nothing is mounted. */
function findConnection(mountPoint: string): number | undefined {
  let found: number | undefined;
  for (const line of readFileSync('/proc/self/mountinfo', 'latin1').split('\n')) {
    const fields = line.split(' ');
    if (fields[4] === undefined || fields[2] === undefined) continue;
    if (Buffer.from(unescape(fields[4]), 'latin1').toString() !== mountPoint) continue;
    const [major = 0, minor = 0] = fields[2].split(':').map(Number);
    found = major * 0x10_0000 + minor;
  }
  return found;
}

/** What both sides of a connection agree on. */
export type ConnectionOptions = Pick<
  MountOptions,
  'locks' | 'writebackCache' | 'autoInvalidate' | 'idmap' | 'maxWriteBytes' | 'maxBackground'
>;

/**
 * Answers the first request of a mount that somebody else made with the device `fd`. Waits at most 30 s for it, and a
 * device without a mount is an error.
 */
export async function negotiateMount(fd: number, options: ConnectionOptions = {}): Promise<Negotiated> {
  const timeout = new AbortController();
  const late = sleep(initTimeoutMs, undefined, { signal: timeout.signal }).then(() => {
    throw new Error('The kernel sent no INIT.');
  });
  return await Promise.race([handshake(fd, initOptions(options)), late]).finally(() => timeout.abort());
}

/** The first request of a mount, answered. */
async function handshake(fd: number, options: InitOptions): Promise<Negotiated> {
  const buffer = Buffer.alloc(options.maxWriteBytes + pageBytes);
  const { bytesRead } = await read(fd, buffer, 0, buffer.length, null);
  const message = parseMessage(buffer, bytesRead);
  const { negotiated, reply } = negotiate(message, options);
  reply.writeUInt32LE(reply.length, 0);
  buffer.copy(reply, 8, 8, 16);
  writeSync(fd, reply);
  return negotiated;
}

/** Nothing happens if the mount has ended: the kernel gives its number to the next mount of the host. */
async function abortConnection(connection: number, mountPoint: string): Promise<void> {
  if (findConnection(mountPoint) !== connection) return;
  try {
    // Not through libuv's pool, whose threads may all wait for requests.
    writeFileSync(`/sys/fs/fuse/connections/${connection}/abort`, '1');
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    // fusectl is not mounted, or the mount is gone. MNT_FORCE aborts, too.
  }
  try {
    await runTool('umount', ['-i', '-c', '-f', '-l', mountPoint]);
  } catch (error) {
    // An unmount that runs beside it may have been faster.
    if (findConnection(mountPoint) === connection) throw error;
  }
}

/** Opens the device, mounts it and answers INIT. Then any process that has the descriptor can serve. */
export async function openMount(options: MountOptions): Promise<Mounted> {
  // Before anything is mounted.
  initOptions(options);
  const mountPoint = await realpath(options.mountPoint);
  const fd = openSync('/dev/fuse', 'r+');
  let isMounted = false;
  try {
    await runTool('mount', mountArguments(options, mountPoint), fd);
    isMounted = true;
    const connection = findConnection(mountPoint);
    if (connection === undefined) throw new Error(`${mountPoint} is not mounted.`);
    const negotiated = await negotiateMount(fd, options);
    return {
      ...{ fd, mountPoint, connection, negotiated },
      unmount: () => runTool('umount', ['-i', '-c', mountPoint]),
      abort: () => abortConnection(connection, mountPoint),
      close: () => closeSync(fd),
    };
  } catch (error) {
    if (isMounted) await runTool('umount', ['-i', '-c', '-f', '-l', mountPoint]);
    closeSync(fd);
    throw error;
  }
}
