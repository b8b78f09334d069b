import { addressOf } from './libc.ts';
import { addressFamily, message, recvmsg, sendmsg } from './sockets.ts';

/**
 * struct msghdr, struct iovec and the head of struct cmsghdr, as laid out on 64-bit machines. musl declares some fields
 * narrower and pads them.
 */
const headerBytes = 56;
const vectorBytes = 16;
const controlHeadBytes = 16;
const descriptorBytes = 4;

/** A message that arrived on a Unix socket. */
export interface UnixMessage {
  /** Empty if the other end is closed. */
  readonly bytes: Buffer;
  /** The receiver owns them. */
  readonly descriptors: readonly number[];
}

/**
 * Sends bytes, and with them copies of at least one open descriptor. `flags` as in send(2). Returns the number of bytes sent, or a
 * negative number; `lastErrno` then knows the reason. The caller closes its own descriptors.
 */
export function sendMessage(socket: number, bytes: Buffer, descriptors: readonly number[], flags: number): number {
  const { header, control } = prepare(bytes, descriptors.length);
  control.writeBigUInt64LE(BigInt(controlHeadBytes + descriptors.length * descriptorBytes), 0);
  control.writeInt32LE(message.socketLevel, 8);
  control.writeInt32LE(message.descriptors, 12);
  descriptors.forEach((fd, index) => control.writeInt32LE(fd, controlHeadBytes + index * descriptorBytes));
  return sendmsg(socket, header, flags | message.noSignal);
}

/**
 * Receives what fits. `flags` as in recv(2). Programs that this process executes do not inherit the descriptors.
 * Returns undefined if the call failed; `lastErrno` then knows the reason.
 */
export function receiveMessage(
  socket: number,
  { maxBytes, maxDescriptors }: { readonly maxBytes: number; readonly maxDescriptors: number },
  flags: number,
): UnixMessage | undefined {
  const bytes = Buffer.alloc(maxBytes);
  const { header, control } = prepare(bytes, maxDescriptors);
  const size = recvmsg(socket, header, flags | message.closeOnExec);
  if (size < 0) return undefined;
  // The kernel reports how much of the space it has used.
  const controlBytes = Number(header.readBigUInt64LE(40));
  return { bytes: bytes.subarray(0, size), descriptors: controlBytes === 0 ? [] : descriptorsIn(control) };
}

function descriptorsIn(control: Buffer): number[] {
  const isDescriptors =
    control.readInt32LE(8) === message.socketLevel && control.readInt32LE(12) === message.descriptors;
  if (!isDescriptors) return [];
  const count = (Number(control.readBigUInt64LE(0)) - controlHeadBytes) / descriptorBytes;
  return Array.from({ length: count }, (_, index) => control.readInt32LE(controlHeadBytes + index * descriptorBytes));
}

/** The buffers of a message of one part with room for so many descriptors. `header` points to the other ones. */
function prepare(bytes: Buffer, descriptors: number): { readonly header: Buffer; readonly control: Buffer } {
  const [header, vector] = [Buffer.alloc(headerBytes), Buffer.alloc(vectorBytes)];
  // Without the padding at the end, in which one more descriptor would fit.
  const control = Buffer.alloc(controlHeadBytes + descriptors * descriptorBytes);
  vector.writeBigUInt64LE(addressOf(bytes), 0);
  vector.writeBigUInt64LE(BigInt(bytes.length), 8);
  header.writeBigUInt64LE(addressOf(vector), 16);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(addressOf(control), 32);
  header.writeBigUInt64LE(BigInt(control.length), 40);
  held.set(header, [bytes, vector, control]);
  return { header, control };
}

/** Keeps the buffers alive to which a header points: the garbage collector does not see these pointers. */
const held = new WeakMap<Buffer, readonly Buffer[]>();

/** struct sockaddr_un. Throws for a path of more than 107 bytes. */
export function unixAddress(path: string): Buffer {
  const address = Buffer.alloc(110);
  if (Buffer.byteLength(path) > 107) throw new Error(`The path of a socket is too long: ${path}`);
  address.writeUInt16LE(addressFamily.unix, 0);
  address.write(path, 2);
  return address;
}
