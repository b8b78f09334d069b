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
const CTA_TUPLE_PROTO = 2;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_DST_PORT = 3;
const CTA_IP_V4_SRC = 1;
const CTA_FILTER = 25;
const CTA_FILTER_ORIG_FLAGS = 1;
// net/netfilter/nf_conntrack_netlink.c
const CTA_FILTER_F_IP_SRC = 1 << 0;
const CTA_FILTER_F_PROTO_NUM = 1 << 3;
const CTA_FILTER_F_PROTO_DST_PORT = 1 << 5;
const udp = 17;
const dnsPort = 53;

/**
 * Makes the kernel forget every connection that `address` has opened through the host. Otherwise the next owner of a
 * slot would receive packets from peers of the previous one, and would find part of its connection limit used up (an
 * open TCP connection is remembered for five days). Needs kernel 5.8 or newer. The walk over the table runs on a pool
 * thread.
 */
export async function flushFlows(address: string): Promise<void> {
  using socket = createNetlinkSocket(netlinkProtocol.netfilter);
  await socket.ask([flushRequest(address, CTA_FILTER_F_IP_SRC, [])]);
}

/**
 * The same for look-ups over UDP only. The kernel decides with the first packet of a flow where it is redirected, and a
 * program that keeps its port would go on with the decision of an earlier policy.
 */
export async function flushLookups(address: string): Promise<void> {
  const port = Buffer.alloc(2);
  port.writeUInt16BE(dnsPort);
  const protocol = attribute(
    CTA_TUPLE_PROTO | NLA_F_NESTED,
    Buffer.concat([attribute(CTA_PROTO_NUM, Buffer.from([udp])), attribute(CTA_PROTO_DST_PORT, port)]),
  );
  const filter = CTA_FILTER_F_IP_SRC | CTA_FILTER_F_PROTO_NUM | CTA_FILTER_F_PROTO_DST_PORT;
  using socket = createNetlinkSocket(netlinkProtocol.netfilter);
  await socket.ask([flushRequest(address, filter, [protocol])]);
}

/** The CT_DELETE request for all entries whose original source is `address`, and that the other parts describe. */
function flushRequest(address: string, filterFlags: number, parts: readonly Buffer[]): NetlinkRequest {
  const source = Buffer.alloc(4);
  source.writeUInt32BE(numberFromAddress(address));
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE(filterFlags);
  const tuple = attribute(
    CTA_TUPLE_ORIG | NLA_F_NESTED,
    Buffer.concat([attribute(CTA_TUPLE_IP | NLA_F_NESTED, attribute(CTA_IP_V4_SRC, source)), ...parts]),
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
