import { closeSync } from 'node:fs';
import koffi from 'koffi';

const libc = koffi.load(null);
const send = libc.func('long send(int fd, const void *data, size_t size, int flags)');
const recv = libc.func('long recv(int fd, _Out_ void *data, size_t size, int flags)') as (
  fd: number,
  data: Buffer,
  size: number,
  flags: number,
) => number;

// linux/netlink.h
const NLMSG_ERROR = 2;
const MSG_DONTWAIT = 0x40;
const headerBytes = 16;
const answerBytes = 32 * 1024;

/** One request to the kernel: its header, and what the type asks for. */
export interface RouteRequest {
  readonly type: number;
  readonly flags: number;
  readonly body: Buffer;
  /** In errors. */
  readonly what: string;
}

/** The kernel refused a request. */
export class RouteError extends Error {
  readonly errno: number;

  constructor(what: string, errno: number) {
    super(`the kernel refused "${what}": errno ${errno}`);
    this.errno = errno;
  }
}

/** A netlink socket for routes, links, addresses and neighbours (rtnetlink(7)) of the namespace that it was made in. */
export class RouteSocket implements Disposable {
  readonly #fd: number;

  /** Owns `fd` from now on. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Sends all requests at once; each must be answered by exactly one message. Gives the answers in their order. The kernel
   * works in a pool thread: it may have to wait for another's change, and this thread must not. Throws `RouteError` for the
   * first request that was refused; later ones were tried none the less.
   */
  async ask(requests: readonly RouteRequest[]): Promise<Buffer[]> {
    const data = Buffer.concat(requests.map(messageOf));
    const sent = await new Promise<number>((resolve, reject) => {
      send.async(this.#fd, data, data.length, 0, (error: unknown, result: number) => {
        if (error instanceof Error) reject(error);
        else resolve(result);
      });
    });
    if (sent !== data.length) throw new Error('the kernel took no route request');
    const answers = this.#receive(requests.length);
    requests.forEach(({ what }, index) => throwRefusal(what, answers[index]));
    return answers;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  /** The kernel has answered before `send` returns: nothing here waits. */
  #receive(count: number): Buffer[] {
    const answers: Buffer[] = [];
    while (answers.length < count) {
      const buffer = Buffer.alloc(answerBytes);
      const size = recv(this.#fd, buffer, buffer.length, MSG_DONTWAIT);
      if (size < headerBytes) throw new Error('the kernel left a route request without an answer');
      answers.push(...split(buffer.subarray(0, size)));
    }
    return answers;
  }
}

function messageOf({ type, flags, body }: RouteRequest, index: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32LE(headerBytes + body.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(flags, 6);
  header.writeUInt32LE(index, 8);
  return Buffer.concat([header, body]);
}

/** Several messages may come as one; each begins at a multiple of 4 bytes. */
function split(data: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at + headerBytes <= data.length;) {
    const length = data.readUInt32LE(at);
    if (length < headerBytes) break;
    messages.push(data.subarray(at, at + length));
    at += Math.ceil(length / 4) * 4;
  }
  return messages;
}

function throwRefusal(what: string, answer: Buffer | undefined): void {
  if (answer?.readUInt16LE(4) !== NLMSG_ERROR) return;
  const errno = -answer.readInt32LE(headerBytes);
  if (errno !== 0) throw new RouteError(what, errno);
}

/** A netlink attribute, padded as the next one needs it. */
export function attribute(type: number, value: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt16LE(header.length + value.length, 0);
  header.writeUInt16LE(type, 2);
  return Buffer.concat([header, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
}
