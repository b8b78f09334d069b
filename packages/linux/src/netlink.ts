import { closeSync } from 'node:fs';
import { check, libcFunction, libcPoolFunction } from './libc.ts';
import { addressFamily, createSocket, message as messageFlags, socketType } from './sockets.ts';

// We use our own code instead of a library: the libraries for Node are native addons, or they start ip(8) for each
// request, which blocks the thread for milliseconds.

/** linux/netlink.h */
export const netlinkProtocol = { route: 0, socketDiagnosis: 4, netfilter: 12 } as const;
/** linux/netlink.h: NLM_F_REQUEST, _ACK, _DUMP, _EXCL, _CREATE. */
export const netlinkFlags = { request: 1, acknowledge: 4, dump: 0x300, exclusive: 0x200, create: 0x400 } as const;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
/** struct nlmsghdr. Every architecture that SoulBox runs on is little-endian. */
const headerBytes = 16;
/**
 * The kernel writes at most 32 KiB at once (netlink_dump in net/netlink/af_netlink.c). An error message repeats the
 * request.
 */
const answerBytes = 64 * 1024;

const prototype = 'long send(int fd, const void *data, size_t size, int flags)';
type SendArguments = [fd: number, data: Buffer, size: number, flags: number];
const send = libcFunction<SendArguments>(prototype);
const sendFromPool = libcPoolFunction<SendArguments>(prototype);
const recv = libcFunction<SendArguments>('long recv(int fd, _Out_ void *data, size_t size, int flags)');

/** One request to the kernel, without its header. */
export interface NetlinkRequest {
  readonly type: number;
  readonly flags: number;
  readonly body: Buffer;
  /** Names the request in error messages. */
  readonly what: string;
}

export interface NetlinkMessage {
  readonly type: number;
  readonly body: Buffer;
}

/** The kernel refused a request. */
export class NetlinkError extends Error {
  readonly errno: number;

  constructor(what: string, errno: number) {
    super(`the kernel refused "${what}": errno ${errno}`);
    this.errno = errno;
  }
}

export interface NetlinkSocket extends Disposable {
  /**
   * Sends all requests at once and returns the answers in order. Each request must be answered by exactly one message.
   * The kernel works on a thread of the pool, because it may have to wait for another change and this thread must not
   * wait. Throws `NetlinkError` for the first request that was refused; the kernel has still executed the later ones.
   */
  ask(requests: readonly NetlinkRequest[]): Promise<NetlinkMessage[]>;
  /**
   * Like `ask`, but for one request and on this thread. Use it for requests that the kernel executes at once, when the
   * thread must not do anything else meanwhile.
   */
  askNow(request: NetlinkRequest): void;
  /**
   * Sends a request with the flag `dump` on this thread, and returns all entries of the answer. With `entriesMax`,
   * returns soon after so many entries; then the socket takes no further request.
   */
  dump(request: NetlinkRequest, entriesMax?: number): Buffer[];
}

/** A socket for requests about the network namespace in which it was created (netlink(7)). */
export function createNetlinkSocket(protocol: number): NetlinkSocket {
  const fd = createSocket(addressFamily.netlink, socketType.raw, protocol);
  return {
    async ask(requests) {
      const data = Buffer.concat(requests.map(encodeNetlink));
      const sentBytes = await sendFromPool(fd, data, data.length, 0);
      if (sentBytes !== data.length) throw new Error(`the kernel did not take "${requests[0]?.what ?? ''}"`);
      const answers: NetlinkMessage[] = [];
      while (answers.length < requests.length) answers.push(...receive(fd));
      requests.forEach(({ what }, index) => throwRefusal(what, answers[index]));
      return answers;
    },
    askNow(request) {
      sendNow(fd, request);
      for (const answer of receive(fd)) throwRefusal(request.what, answer);
    },
    dump(request, entriesMax = Infinity) {
      sendNow(fd, request);
      const entries: Buffer[] = [];
      while (entries.length < entriesMax) {
        for (const answer of receive(fd)) {
          throwRefusal(request.what, answer);
          if (answer.type === NLMSG_DONE) return entries;
          entries.push(answer.body);
        }
      }
      return entries;
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}

function sendNow(fd: number, request: NetlinkRequest): void {
  const data = encodeNetlink(request, 0);
  const sentBytes = check('send to netlink', send(fd, data, data.length, 0));
  if (sentBytes !== data.length) throw new Error(`the kernel did not take "${request.what}"`);
}

/** Never waits: the kernel has answered before `send` returns, and continues a dump with each `recv`. */
function receive(fd: number): NetlinkMessage[] {
  const answer = Buffer.allocUnsafe(answerBytes);
  const size = check('recv from netlink', recv(fd, answer, answer.length, messageFlags.doNotWait));
  const messages = decodeNetlink(answer.subarray(0, size));
  if (messages.length === 0) throw new Error('the kernel did not respond to a netlink request');
  return messages;
}

/** The bytes of a request. */
export function encodeNetlink({ type, flags, body }: NetlinkRequest, sequence: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32LE(headerBytes + body.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(flags, 6);
  header.writeUInt32LE(sequence, 8);
  return Buffer.concat([header, body]);
}

/** One read may contain several messages. Each begins at a multiple of 4 bytes. */
export function decodeNetlink(data: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at + headerBytes <= data.length;) {
    const length = data.readUInt32LE(at);
    if (length < headerBytes || at + length > data.length) break;
    messages.push({ type: data.readUInt16LE(at + 4), body: data.subarray(at + headerBytes, at + length) });
    at += (length + 3) & ~3;
  }
  return messages;
}

function throwRefusal(what: string, answer: NetlinkMessage | undefined): void {
  // The end of a dump also carries an error number.
  if (answer?.type !== NLMSG_ERROR && answer?.type !== NLMSG_DONE) return;
  const errno = -answer.body.readInt32LE(0);
  if (errno !== 0) throw new NetlinkError(what, errno);
}

/** A netlink attribute, padded so that another one can follow. */
export function netlinkAttribute(type: number, value: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt16LE(header.length + value.length, 0);
  header.writeUInt16LE(type, 2);
  return Buffer.concat([header, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
}
