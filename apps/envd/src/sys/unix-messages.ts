import { ptr } from 'bun:ffi';
import { closeSync, constants } from 'node:fs';
import { constants as os } from 'node:os';
import { syscall, systemError, trySyscall } from './libc.ts';
import { syscallNumbers as nr } from './syscall-numbers.ts';

/** The sender of a message, as reported by the kernel. */
export interface Sender {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface Message {
  readonly bytes: Uint8Array;
  /** Owned by the receiver, which must close them. */
  readonly fds: readonly number[];
  /** Undefined if the socket does not request it. */
  readonly sender: Sender | undefined;
}

// kernel: include/uapi/linux/un.h, include/linux/socket.h, include/uapi/asm-generic/{socket,fcntl}.h
const unixFamily = 1;
const stream = 1;
const datagram = 2;
const closeOnExec = 0o2000000;
const socketLevel = 1;
const passCredentials = 16;
const rightsType = 1;
const credentialsType = 2;
const doNotWait = 0x40;
const noSignal = 0x4000;
const closeReceived = 0x40000000;
const controlTruncated = 0x8;
const setOwner = 8;
const setStatusFlags = 4;
const signalOnInput = 0o20000;

const headerBytes = 16;
/** Room for credentials and more descriptors than any sender needs. The kernel drops further ones and reports that. */
const controlBytes = 256;
const align = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/**
 * Opens a datagram socket with an abstract name, which is not a file. So nothing can replace it while it is open.
 * Messages carry their sender's credentials. A message's arrival is signaled to this process by SIGIO.
 */
export function openMailbox(name: string): number {
  const fd = syscall('socket', nr.socket, unixFamily, datagram | closeOnExec, 0);
  try {
    syscall('setsockopt', nr.setsockopt, fd, socketLevel, passCredentials, new Int32Array([1]), 4);
    const address = abstractAddress(name);
    syscall('bind', nr.bind, fd, address, address.length);
    syscall('fcntl', nr.fcntl, fd, setOwner, process.pid);
    syscall('fcntl', nr.fcntl, fd, setStatusFlags, constants.O_NONBLOCK | signalOnInput);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Sends to the mailbox with that name. Throws ECONNREFUSED if there is none. */
export function sendToMailbox(name: string, bytes: Uint8Array, fds: readonly number[]): void {
  const fd = syscall('socket', nr.socket, unixFamily, datagram | closeOnExec, 0);
  try {
    sendMessage(fd, bytes, fds, abstractAddress(name));
  } finally {
    closeSync(fd);
  }
}

/** Creates two connected streams. */
export function openStreamPair(): readonly [number, number] {
  const fds = new Int32Array(2);
  syscall('socketpair', nr.socketpair, unixFamily, stream | closeOnExec, 0, fds);
  return [fds[0] ?? -1, fds[1] ?? -1];
}

/**
 * Sends bytes and descriptors. The caller still owns its descriptors. Never waits: throws EAGAIN while the other side
 * is full.
 */
export function sendMessage(
  fd: number,
  bytes: Uint8Array,
  fds: readonly number[],
  to: Uint8Array = new Uint8Array(0),
): void {
  const control = fds.length === 0 ? new Uint8Array(0) : encodeRights(fds);
  const vector = ioVector(bytes);
  syscall('sendmsg', nr.sendmsg, fd, messageHeader(to, vector, control), noSignal | doNotWait);
  keptUntilNow(to, vector, control, bytes);
}

/**
 * Receives the next message of at most `maxBytes`. Undefined at the end, and if there is none and the socket does not
 * block. Messages with more descriptors than needed are dropped.
 */
export function receiveMessage(fd: number, maxBytes: number, wait: boolean): Message | undefined {
  const bytes = new Uint8Array(maxBytes);
  const control = new Uint8Array(controlBytes);
  const vector = ioVector(bytes);
  const header = messageHeader(new Uint8Array(0), vector, control);
  const length = trySyscall(nr.recvmsg, fd, header, closeReceived | (wait ? 0 : doNotWait));
  keptUntilNow(vector, control);
  if (length === -os.errno.EAGAIN || length === 0) return undefined;
  if (length < 0) throw systemError(-length, 'recvmsg');
  const fields = new DataView(header.buffer);
  const { fds, sender } = decodeControl(control.subarray(0, Number(fields.getBigUint64(40, true))));
  if ((fields.getInt32(48, true) & controlTruncated) === 0) return { bytes: bytes.subarray(0, length), fds, sender };
  fds.forEach((extra) => closeSync(extra));
  return { bytes: new Uint8Array(0), fds: [], sender };
}

/** `struct sockaddr_un` with a name that begins with NUL (unix(7), abstract). */
function abstractAddress(name: string): Uint8Array {
  return Buffer.concat([Uint8Array.of(unixFamily, 0, 0), Buffer.from(name)]);
}

/** `struct iovec`. */
function ioVector(bytes: Uint8Array): Uint8Array {
  const vector = new DataView(new ArrayBuffer(16));
  vector.setBigUint64(0, BigInt(ptr(bytes)), true);
  vector.setBigUint64(8, BigInt(bytes.length), true);
  return new Uint8Array(vector.buffer);
}

/** `struct msghdr` of 64-bit machines. It contains bare addresses: see `keptUntilNow`. */
function messageHeader(name: Uint8Array, vector: Uint8Array, control: Uint8Array): Uint8Array {
  const header = new DataView(new ArrayBuffer(56));
  const address = (bytes: Uint8Array): bigint => (bytes.length === 0 ? 0n : BigInt(ptr(bytes)));
  header.setBigUint64(0, address(name), true);
  header.setUint32(8, name.length, true);
  header.setBigUint64(16, BigInt(ptr(vector)), true);
  header.setBigUint64(24, 1n, true);
  header.setBigUint64(32, address(control), true);
  header.setBigUint64(40, BigInt(control.length), true);
  return new Uint8Array(header.buffer);
}

/** `struct cmsghdr` and the descriptors. */
function encodeRights(fds: readonly number[]): Uint8Array {
  const length = headerBytes + 4 * fds.length;
  const control = new DataView(new ArrayBuffer(align(length)));
  control.setBigUint64(0, BigInt(length), true);
  control.setInt32(8, socketLevel, true);
  control.setInt32(12, rightsType, true);
  fds.forEach((fd, index) => control.setInt32(headerBytes + 4 * index, fd, true));
  return new Uint8Array(control.buffer);
}

function decodeControl(control: Uint8Array): Pick<Message, 'fds' | 'sender'> {
  const view = new DataView(control.buffer, control.byteOffset, control.length);
  const fds: number[] = [];
  let sender: Sender | undefined;
  for (let offset = 0; offset + headerBytes <= control.length;) {
    const length = Number(view.getBigUint64(offset, true));
    if (length < headerBytes || offset + length > control.length) break;
    const type = view.getInt32(offset + 12, true);
    const at = (index: number): number => view.getInt32(offset + headerBytes + 4 * index, true);
    if (type === rightsType) for (let index = 0; headerBytes + 4 * index < length; index++) fds.push(at(index));
    if (type === credentialsType) sender = { pid: at(0), uid: at(1) >>> 0, gid: at(2) >>> 0 };
    offset += align(length);
  }
  return { fds, sender };
}

/**
 * Called when the kernel is done. The kernel only had bare addresses; this reference prevented the collection of the
 * buffers meanwhile.
 */
function keptUntilNow(...buffers: Uint8Array[]): void {
  buffers.length = 0;
}
