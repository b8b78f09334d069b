import { netlinkAttribute, netlinkFlags, netlinkProtocol } from '@soulbox/linux/netlink';
import { readNetlinkAttributes } from '@soulbox/linux/netlink-attributes';
import { openNetlinkEvents } from '@soulbox/linux/netlink-events';
import { toldBytes } from '../ruleset.ts';

// linux/netfilter/nfnetlink.h and nfnetlink_log.h
const NFNL_SUBSYS_ULOG = 4;
const NFULNL_MSG_CONFIG = 1;
const NFULA_CFG_CMD = 1;
const NFULNL_CFG_CMD_BIND = 1;
const NFULA_CFG_MODE = 2;
const NFULNL_COPY_PACKET = 2;
const NFULA_CFG_QTHRESH = 5;
/** struct nfulnl_msg_packet_hdr: protocol of the link (2 bytes), hook, padding. */
const NFULA_PACKET_HDR = 1;
const NFULA_PAYLOAD = 9;
const NFULA_PREFIX = 10;
/** linux/netfilter.h */
const NF_INET_LOCAL_IN = 1;

const bufferBytes = 2 * 1024 * 1024;

/** A packet that the packet filter has refused. */
export interface RefusedPacket {
  /** The prefix of the rule that logged it. */
  readonly prefix: string;
  /** It was meant for this host. */
  readonly isToHost: boolean;
  /** The source address, as a number. */
  readonly source: number;
  readonly protocol: number;
  readonly address: string;
  /** 0 for protocols without ports. */
  readonly port: number;
}

export interface RefusedPackets extends Disposable {
  /** The packets since the last call, at least `max` if there are so many. `hasLost`: there were more. */
  read(max: number): { readonly packets: RefusedPacket[]; readonly hasLost: boolean };
}

/** Receives the packets of one log group of the packet filter. Throws `SystemCallError`. */
export function openRefusedPackets(group: number): RefusedPackets {
  const number32 = (value: number): Buffer => {
    const data = Buffer.alloc(4);
    data.writeUInt32BE(value);
    return data;
  };
  // struct nfulnl_msg_config_mode: bytes to copy, mode, padding.
  const mode = Buffer.concat([number32(toldBytes), Buffer.from([NFULNL_COPY_PACKET, 0])]);
  const events = openNetlinkEvents({
    ...{ protocol: netlinkProtocol.netfilter, groups: 0, bufferBytes },
    request: {
      type: (NFNL_SUBSYS_ULOG << 8) | NFULNL_MSG_CONFIG,
      flags: netlinkFlags.request,
      body: Buffer.concat([
        // struct nfgenmsg: family, version, and the group in network byte order.
        Buffer.from([0, 0, group >> 8, group & 0xff]),
        netlinkAttribute(NFULA_CFG_CMD, Buffer.from([NFULNL_CFG_CMD_BIND])),
        netlinkAttribute(NFULA_CFG_MODE, mode),
        // The kernel collects no packets. Those that wait could be read after their slot has a new owner.
        netlinkAttribute(NFULA_CFG_QTHRESH, number32(1)),
      ]),
      what: `receive log group ${group}`,
    },
  });
  return {
    read(max) {
      const { messages, hasLost } = events.read(max);
      const packets = messages.flatMap(({ type, body }) => {
        if (type >> 8 !== NFNL_SUBSYS_ULOG) return [];
        const attributes = readNetlinkAttributes(body.subarray(4));
        const prefix = attributes.get(NFULA_PREFIX)?.value.toString('latin1').replace(/\0.*$/s, '') ?? '';
        const packet = packetFrom(attributes.get(NFULA_PAYLOAD)?.value ?? Buffer.alloc(0));
        const isToHost = attributes.get(NFULA_PACKET_HDR)?.value[2] === NF_INET_LOCAL_IN;
        return packet === undefined ? [] : [{ prefix, isToHost, ...packet }];
      });
      return { packets, hasLost };
    },
    [Symbol.dispose]: () => events[Symbol.dispose](),
  };
}

/** Reads a header of IPv4 (RFC 791). Undefined for anything else. */
function packetFrom(packet: Buffer): Omit<RefusedPacket, 'prefix' | 'isToHost'> | undefined {
  const version = (packet[0] ?? 0) >> 4;
  const headerBytes = ((packet[0] ?? 0) & 0x0f) * 4;
  if (version !== 4 || headerBytes < 20 || packet.length < headerBytes) return undefined;
  const protocol = packet.readUInt8(9);
  // A later fragment has no ports.
  const isFirst = (packet.readUInt16BE(6) & 0x1fff) === 0;
  const hasPorts = isFirst && (protocol === 6 || protocol === 17) && packet.length >= headerBytes + 4;
  return {
    source: packet.readUInt32BE(12),
    protocol,
    address: packet.subarray(16, 20).join('.'),
    port: hasPorts ? packet.readUInt16BE(headerBytes + 2) : 0,
  };
}
