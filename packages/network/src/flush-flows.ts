import {
  createNetlinkSocket,
  netlinkAttribute as attribute,
  netlinkFlags,
  netlinkProtocol,
} from '@soulbox/linux/netlink';
import { addressFamily } from '@soulbox/linux/sockets';
import type { NetlinkRequest } from '@soulbox/linux/netlink';
import { numberFromAddress } from './cidr.ts';

// linux/netlink.h, linux/netfilter/nfnetlink.h and nfnetlink_conntrack.h
const CT_DELETE = (1 << 8) | 2;
const NLA_F_NESTED = 0x8000;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_IP = 1;
const CTA_IP_V4_SRC = 1;
const CTA_FILTER = 25;
const CTA_FILTER_ORIG_FLAGS = 1;
const CTA_FILTER_F_IP_SRC = 1;

/**
 * Makes the kernel forget every connection that `address` has opened through the host. Otherwise the next owner of a
 * slot would receive packets from peers of the previous one, and would find part of its connection limit used up (an
 * open TCP connection is remembered for five days). Needs kernel 5.8 or newer. The walk over the table runs on a pool
 * thread.
 */
export async function flushFlows(address: string): Promise<void> {
  using socket = createNetlinkSocket(netlinkProtocol.netfilter);
  await socket.ask([flushRequest(address)]);
}

/** The CT_DELETE request for all entries whose original source is `address`. */
function flushRequest(address: string): NetlinkRequest {
  const source = Buffer.alloc(4);
  source.writeUInt32BE(numberFromAddress(address));
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE(CTA_FILTER_F_IP_SRC);
  const tuple = attribute(
    CTA_TUPLE_ORIG | NLA_F_NESTED,
    attribute(CTA_TUPLE_IP | NLA_F_NESTED, attribute(CTA_IP_V4_SRC, source)),
  );
  const filter = attribute(CTA_FILTER | NLA_F_NESTED, attribute(CTA_FILTER_ORIG_FLAGS, flags));
  /** struct nfgenmsg: family, version, resource. */
  const header = Buffer.from([addressFamily.v4, 0, 0, 0]);
  return {
    type: CT_DELETE,
    flags: netlinkFlags.request | netlinkFlags.acknowledge,
    body: Buffer.concat([header, tuple, filter]),
    what: `conntrack flush ${address}`,
  };
}
