import { addressOf, check } from './libc.ts';
import { setsockopt } from './sockets.ts';

// asm-generic/socket.h
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;

/** One instruction of a socket filter. A jump skips `ifTrue` or `ifFalse` instructions. */
export type FilterStep = readonly [code: number, k: number, ifTrue?: number, ifFalse?: number];

/** Classic BPF, linux/bpf_common.h and linux/filter.h. Loads read in network byte order. */
export const filterCode = {
  loadWord: 0x20,
  loadByte: 0x30,
  /** At the offset X + k. */
  loadByteAtX: 0x50,
  loadConstant: 0x00,
  setX: 0x01,
  copyToX: 0x07,
  and: 0x54,
  jumpIfEqual: 0x15,
  jumpIfAtLeast: 0x35,
  return: 0x06,
} as const;

/**
 * For `loadByte`: the offset of the netlink attribute of type X, or 0. `attribute` searches from the offset in A,
 * `nested` inside the attribute at A.
 */
export const filterOffset = { attribute: 0xffff_f000 + 12, nested: 0xffff_f000 + 16 } as const;

/** What a filter returns: the number of bytes to keep of a message. */
export const filterVerdict = { keep: 0xffff_ffff, drop: 0 } as const;

/** Makes the kernel drop messages for the socket before it queues them. Throws `SystemCallError`. */
export function attachSocketFilter(fd: number, steps: readonly FilterStep[]): void {
  const program = Buffer.alloc(8 * steps.length);
  steps.forEach(([code, k, ifTrue = 0, ifFalse = 0], index) => {
    program.writeUInt16LE(code, 8 * index);
    program.writeUInt8(ifTrue, 8 * index + 2);
    program.writeUInt8(ifFalse, 8 * index + 3);
    program.writeUInt32LE(k, 8 * index + 4);
  });
  // struct sock_fprog: the number of instructions, then their address.
  const description = Buffer.alloc(16);
  description.writeUInt16LE(steps.length, 0);
  description.writeBigUInt64LE(addressOf(program), 8);
  check('attach a socket filter', setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, description, description.length));
}
