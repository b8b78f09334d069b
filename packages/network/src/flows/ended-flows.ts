import { NetlinkError, createNetlinkSocket, netlinkFlags, netlinkProtocol } from '@soulbox/linux/netlink';
import type { NetlinkRequest, NetlinkSocket } from '@soulbox/linux/netlink';
import { readNetlinkAttributes } from '@soulbox/linux/netlink-attributes';
import type { NetlinkAttribute } from '@soulbox/linux/netlink-attributes';
import { openNetlinkEvents } from '@soulbox/linux/netlink-events';
import { filterCode, filterOffset, filterVerdict } from '@soulbox/linux/socket-filter';
import type { FilterStep } from '@soulbox/linux/socket-filter';
import { addressFamily } from '@soulbox/linux/sockets';
import type { Cidr } from '../cidr.ts';

// linux/netfilter/nfnetlink.h, nfnetlink_compat.h, nfnetlink_conntrack.h
const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT_DELETE = 2;
const NF_NETLINK_CONNTRACK_UPDATE = 2;
const NF_NETLINK_CONNTRACK_DESTROY = 4;
const cta = {
  tupleOriginal: 1,
  protocolInfo: 4,
  countersOriginal: 9,
  countersReply: 10,
  id: 12,
  timestamp: 20,
  /** Since Linux 6.14. */
  timestampEvent: 27,
} as const;
const CTA_PROTOINFO_TCP = 1;
const CTA_PROTOINFO_TCP_STATE = 1;
/** linux/netfilter/nf_conntrack_tcp.h: TCP_CONNTRACK_TIME_WAIT. The next state, CLOSE, follows a reset. */
const timeWait = 7;

/** Memory of the kernel for events that wait to be read: about 10,000. */
const bufferBytes = 16 * 1024 * 1024;
/**
 * How long an ended TCP connection stays in the kernel's table. Late packets of a connection that was reset still belong
 * to it. Milliseconds.
 */
const lingerMs = 1000;
/** Requests to forget a connection that are sent at once. Their answers must fit into the socket's buffer. */
const forgetMax = 100;
/** Such groups in one call. */
const forgetGroups = 10;
/** Ended connections that are known. More are reported when the kernel forgets them by itself. */
const endedMax = 20_000;

/** A connection that the kernel no longer tracks. */
export interface EndedFlow {
  /** The slot's address, as a number. */
  readonly source: number;
  readonly protocol: number;
  /** What the sandbox wanted to reach. */
  readonly address: string;
  /** 0 for protocols without ports. */
  readonly port: number;
  /** Milliseconds since the Unix epoch. Equal if the kernel keeps no times. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** With the headers of IP. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/** The ends of connections that addresses of a range began. */
export interface EndedFlows extends Disposable {
  /** What has ended since the last call; at least `max` if there are so many. `hasLost`: there were more. */
  read(max: number): { readonly flows: EndedFlow[]; readonly hasLost: boolean };
  /** Makes the kernel forget TCP connections that have ended. Otherwise it would report them two minutes later. */
  forgetEnded(): Promise<void>;
}

interface Ended {
  readonly atMs: number;
  /** The attributes that name it. */
  readonly key: Buffer;
  isAsked: boolean;
}

/**
 * Follows connection tracking. The ruleset chooses the connections with `ct event`. Throws `SystemCallError`.
 */
export function openEndedFlows(range: Cidr): EndedFlows {
  const events = openNetlinkEvents({
    protocol: netlinkProtocol.netfilter,
    groups: NF_NETLINK_CONNTRACK_UPDATE | NF_NETLINK_CONNTRACK_DESTROY,
    bufferBytes,
    filter: filterFor(range),
  });
  /** TCP connections that have ended, by the id that the kernel gave them. */
  const ended = new Map<number, Ended>();
  const forgetDue = async (socket: NetlinkSocket): Promise<boolean> => {
    const before = Date.now() - lingerMs;
    const due: Ended[] = [];
    for (const entry of ended.values()) {
      if (due.length === forgetMax || entry.atMs > before) break;
      if (!entry.isAsked) due.push(entry);
    }
    if (due.length === 0) return false;
    for (const entry of due) entry.isAsked = true;
    try {
      await socket.ask(due.map(({ key }) => forgetRequest(key)));
    } catch (error) {
      // The kernel was faster, or the connection began anew.
      if (!(error instanceof NetlinkError)) throw error;
    }
    return due.length === forgetMax;
  };
  return {
    read(max) {
      const { messages, hasLost } = events.read(max);
      const nowMs = Date.now();
      const flows: EndedFlow[] = [];
      for (const { type, body } of messages) {
        const attributes = readNetlinkAttributes(body.subarray(4));
        const id = attributes.get(cta.id)?.value.readUInt32BE(0) ?? 0;
        if ((type & 0xff) === IPCTNL_MSG_CT_DELETE) {
          const flow = flowFrom(attributes, ended.get(id)?.atMs, nowMs);
          ended.delete(id);
          if (flow !== undefined) flows.push(flow);
        } else if (!ended.has(id) && ended.size < endedMax) {
          const key = [attributes.get(cta.tupleOriginal), attributes.get(cta.id)].map((one) => one?.bytes);
          if (key.some((bytes) => bytes === undefined)) continue;
          const atMs = milliseconds(attributes.get(cta.timestampEvent)) ?? nowMs;
          ended.set(id, { atMs, key: Buffer.concat(key.filter((bytes) => bytes !== undefined)), isAsked: false });
        }
      }
      return { flows, hasLost };
    },
    async forgetEnded() {
      // What the kernel has forgotten in a lost event stays here no longer than this.
      const lostBefore = Date.now() - 10 * lingerMs;
      for (const [id, { atMs, isAsked }] of ended) {
        if (atMs > lostBefore) break;
        if (isAsked) ended.delete(id);
      }
      if (ended.size === 0) return;
      using socket = createNetlinkSocket(netlinkProtocol.netfilter);
      for (let group = 0; group < forgetGroups; group += 1) if (!(await forgetDue(socket))) return;
    },
    [Symbol.dispose]: () => events[Symbol.dispose](),
  };
}

/** Keeps the ends of connections from the range, and TCP connections that have just been closed by both sides or reset. */
function filterFor(range: Cidr): FilterStep[] {
  const mask = range.prefix === 0 ? 0 : (0xffff_ffff << (32 - range.prefix)) >>> 0;
  // struct nlmsghdr (16 bytes, its type at 4), struct nfgenmsg (4), then CTA_TUPLE_ORIG, CTA_TUPLE_IP and CTA_IP_V4_SRC,
  // each with a header of 4 bytes: the kernel always writes the tuple first (ctnetlink_conntrack_event).
  const steps: FilterStep[] = [
    [filterCode.loadByte, 16],
    [filterCode.jumpIfEqual, addressFamily.v4, 0, 18],
    [filterCode.loadWord, 32],
    [filterCode.and, mask],
    [filterCode.jumpIfEqual, range.address >>> 0, 0, 15],
    [filterCode.loadByte, 4],
    [filterCode.jumpIfEqual, IPCTNL_MSG_CT_DELETE, 12, 0],
    [filterCode.setX, cta.protocolInfo],
    [filterCode.loadConstant, 20],
    [filterCode.loadByte, filterOffset.attribute],
    [filterCode.jumpIfEqual, 0, 9, 0],
    [filterCode.setX, CTA_PROTOINFO_TCP],
    [filterCode.loadByte, filterOffset.nested],
    [filterCode.jumpIfEqual, 0, 6, 0],
    [filterCode.setX, CTA_PROTOINFO_TCP_STATE],
    [filterCode.loadByte, filterOffset.nested],
    [filterCode.copyToX, 0],
    [filterCode.loadByteAtX, 4],
    [filterCode.jumpIfAtLeast, timeWait, 0, 1],
    [filterCode.return, filterVerdict.keep],
    [filterCode.return, filterVerdict.drop],
  ];
  return steps;
}

function forgetRequest(key: Buffer): NetlinkRequest {
  return {
    type: (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE,
    flags: netlinkFlags.request | netlinkFlags.acknowledge,
    // struct nfgenmsg: family, version, resource.
    body: Buffer.concat([Buffer.from([addressFamily.v4, 0, 0, 0]), key]),
    what: 'forget an ended connection',
  };
}

/** Undefined for what is not a connection over IPv4. */
function flowFrom(
  attributes: ReadonlyMap<number, NetlinkAttribute>,
  seenEndMs: number | undefined,
  nowMs: number,
): EndedFlow | undefined {
  const tuple = readNetlinkAttributes(attributes.get(cta.tupleOriginal)?.value ?? Buffer.alloc(0));
  // CTA_TUPLE_IP with CTA_IP_V4_SRC and _DST; CTA_TUPLE_PROTO with CTA_PROTO_NUM and _DST_PORT.
  const addresses = readNetlinkAttributes(tuple.get(1)?.value ?? Buffer.alloc(0));
  const numbers = readNetlinkAttributes(tuple.get(2)?.value ?? Buffer.alloc(0));
  const [source, destination] = [addresses.get(1)?.value, addresses.get(2)?.value];
  const protocol = numbers.get(1)?.value[0];
  if (source?.length !== 4 || destination?.length !== 4 || protocol === undefined) return undefined;
  // CTA_TIMESTAMP_START and _STOP.
  const times = readNetlinkAttributes(attributes.get(cta.timestamp)?.value ?? Buffer.alloc(0));
  const endedAtMs = seenEndMs ?? milliseconds(times.get(2)) ?? nowMs;
  return {
    source: source.readUInt32BE(0),
    protocol,
    address: destination.join('.'),
    port: numbers.get(3)?.value.readUInt16BE(0) ?? 0,
    startedAtMs: Math.min(milliseconds(times.get(1)) ?? endedAtMs, endedAtMs),
    endedAtMs,
    bytesSent: bytesOf(attributes.get(cta.countersOriginal)),
    bytesReceived: bytesOf(attributes.get(cta.countersReply)),
  };
}

/** Of a time in nanoseconds. */
function milliseconds(time: NetlinkAttribute | undefined): number | undefined {
  return time?.value.length === 8 ? Number(time.value.readBigUInt64BE(0) / 1_000_000n) : undefined;
}

/** CTA_COUNTERS_BYTES. */
function bytesOf(counters: NetlinkAttribute | undefined): number {
  const bytes = readNetlinkAttributes(counters?.value ?? Buffer.alloc(0)).get(2)?.value;
  return bytes?.length === 8 ? Number(bytes.readBigUInt64BE(0)) : 0;
}
