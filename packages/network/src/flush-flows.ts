import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { numberFromAddress } from './cidr.ts';
import { attribute } from './route-socket.ts';

const libc = koffi.load(null);
const socket = libc.func('int socket(int domain, int type, int protocol)') as (
  domain: number,
  type: number,
  protocol: number,
) => number;
const send = libc.func('long send(int fd, const void *data, size_t size, int flags)');
const recv = libc.func('long recv(int fd, _Out_ void *data, size_t size, int flags)') as (
  fd: number,
  data: Buffer,
  size: number,
  flags: number,
) => number;

// linux/netlink.h, linux/netfilter/nfnetlink.h and nfnetlink_conntrack.h
const AF_INET = 2;
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_NETFILTER = 12;
const CT_DELETE = (1 << 8) | 2;
const NLM_F_REQUEST_ACK = 1 | 4;
const NLA_F_NESTED = 0x8000;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_IP = 1;
const CTA_IP_V4_SRC = 1;
const CTA_FILTER = 25;
const CTA_FILTER_ORIG_FLAGS = 1;
const CTA_FILTER_F_IP_SRC = 1;
const MSG_DONTWAIT = 0x40;

/**
 * Makes the kernel forget every connection that `address` has opened through the host. Without it the next owner of a
 * slot would receive what peers of the last one still send, and find its share of tracked connections used up (an
 * open TCP connection is remembered for five days). Kernels from 5.8. The walk over the table runs in a pool thread.
 */
export async function flushFlows(address: string): Promise<void> {
  const fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0) throw new Error(`netlink socket: errno ${koffi.errno()}`);
  try {
    const request = flushRequest(address);
    const sent = await new Promise<number>((resolve, reject) => {
      send.async(fd, request, request.length, 0, (error: unknown, result: number) => {
        if (error instanceof Error) reject(error);
        else resolve(result);
      });
    });
    if (sent !== request.length) throw new Error('the kernel took no conntrack request');
    // The kernel has answered before `send` returns: nothing here waits.
    const answer = Buffer.alloc(1024);
    const size = recv(fd, answer, answer.length, MSG_DONTWAIT);
    const error = size >= 20 ? answer.readInt32LE(16) : -1;
    if (error !== 0) throw new Error(`conntrack flush: error ${error}`);
  } finally {
    closeSync(fd);
  }
}

/** CT_DELETE for all entries whose original source is `address`. Every architecture Node runs on here is little-endian. */
function flushRequest(address: string): Buffer {
  const source = Buffer.alloc(4);
  source.writeUInt32BE(numberFromAddress(address));
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE(CTA_FILTER_F_IP_SRC);
  const tuple = attribute(
    CTA_TUPLE_ORIG | NLA_F_NESTED,
    attribute(CTA_TUPLE_IP | NLA_F_NESTED, attribute(CTA_IP_V4_SRC, source)),
  );
  const filter = attribute(CTA_FILTER | NLA_F_NESTED, attribute(CTA_FILTER_ORIG_FLAGS, flags));
  const header = Buffer.alloc(20);
  header.writeUInt32LE(header.length + tuple.length + filter.length, 0);
  header.writeUInt16LE(CT_DELETE, 4);
  header.writeUInt16LE(NLM_F_REQUEST_ACK, 6);
  header.writeUInt8(AF_INET, 16);
  return Buffer.concat([header, tuple, filter]);
}
