import { netlinkAttribute as attribute, netlinkFlags } from '@soulbox/linux/netlink';
import { addressFamily } from '@soulbox/linux/sockets';
import type { NetlinkMessage, NetlinkRequest } from '@soulbox/linux/netlink';
import { numberFromAddress } from './cidr.ts';

// linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/neighbour.h, linux/veth.h
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_NEWROUTE = 24;
const RTM_NEWNEIGH = 28;
const IFLA = { address: 1, name: 3, mtu: 4, linkInfo: 18, namespaceFd: 28 } as const;
const IFLA_INFO = { kind: 1, data: 2 } as const;
const VETH_INFO_PEER = 1;
const IFA = { address: 1, local: 2 } as const;
const RTA = { destination: 1, device: 4, gateway: 5 } as const;
const NDA = { destination: 1, linkAddress: 2 } as const;
const NUD_PERMANENT = 0x80;
const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3;
const RTN_UNICAST = 1;
const RT_SCOPE = { everywhere: 0, link: 253 } as const;

const asked = netlinkFlags.request | netlinkFlags.acknowledge;
const made = asked | netlinkFlags.exclusive | netlinkFlags.create;

/** Flags of an interface (linux/if.h). */
export const interfaceFlags = { up: 1, noArp: 0x80 } as const;
/** The index of the loopback interface in every namespace. */
export const loopback = 1;

export interface LinkEnd {
  readonly name: string;
  readonly mac: string;
}

/** Creates a pair. Its `peer` end is in the namespace that the descriptor refers to. */
export function makePair(own: LinkEnd, peer: LinkEnd, peerNamespaceFd: number, mtu: number): NetlinkRequest {
  const other = [linkHeader(0, 0), endAttributes(peer, mtu), attribute(IFLA.namespaceFd, u32(peerNamespaceFd))];
  const data = attribute(IFLA_INFO.data, attribute(VETH_INFO_PEER, Buffer.concat(other)));
  const info = attribute(IFLA.linkInfo, Buffer.concat([attribute(IFLA_INFO.kind, text('veth')), data]));
  const body = Buffer.concat([linkHeader(0, 0), endAttributes(own, mtu), info]);
  return { type: RTM_NEWLINK, flags: made, body, what: `link add ${own.name}` };
}

/** Pass the answer to `indexFrom`. */
export function findLink(name: string): NetlinkRequest {
  return { type: RTM_GETLINK, flags: netlinkFlags.request, body: named(name), what: `link show ${name}` };
}

/** The index of the interface in an answer to `findLink`. */
export function indexFrom(answer: NetlinkMessage | undefined): number {
  if (answer === undefined) throw new Error('no answer names the interface');
  // struct ifinfomsg
  return answer.body.readInt32LE(4);
}

/** Sets the given flags and keeps the others. */
export function setFlags(index: number, flags: number): NetlinkRequest {
  return { type: RTM_NEWLINK, flags: asked, body: linkHeader(index, flags), what: 'link set' };
}

export function removeLink(name: string): NetlinkRequest {
  return { type: RTM_DELLINK, flags: asked, body: named(name), what: `link delete ${name}` };
}

export function addAddress(index: number, address: string, prefix: number): NetlinkRequest {
  const header = Buffer.from([addressFamily.v4, prefix, 0, RT_SCOPE.everywhere]);
  const own = [attribute(IFA.local, ip(address)), attribute(IFA.address, ip(address))];
  const body = Buffer.concat([header, u32(index), ...own]);
  return { type: RTM_NEWADDR, flags: made, body, what: 'addr add' };
}

/** Adds a route for a single address on the interface. */
export function addHostRoute(index: number, address: string): NetlinkRequest {
  const to = [attribute(RTA.destination, ip(address)), attribute(RTA.device, u32(index))];
  return route(32, RT_SCOPE.link, to);
}

export function addDefaultRoute(gateway: string): NetlinkRequest {
  return route(0, RT_SCOPE.everywhere, [attribute(RTA.gateway, ip(gateway))]);
}

/** Adds a permanent entry for a neighbor, so that nobody needs ARP to find its address, or can change it. */
export function addNeighbor(index: number, address: string, mac: string): NetlinkRequest {
  const header = Buffer.alloc(12);
  header.writeUInt8(addressFamily.v4, 0);
  header.writeInt32LE(index, 4);
  header.writeUInt16LE(NUD_PERMANENT, 8);
  const body = Buffer.concat([
    header,
    attribute(NDA.destination, ip(address)),
    attribute(NDA.linkAddress, hardware(mac)),
  ]);
  return { type: RTM_NEWNEIGH, flags: made, body, what: 'neigh add' };
}

function route(prefix: number, scope: number, attributes: readonly Buffer[]): NetlinkRequest {
  const header = Buffer.from([
    addressFamily.v4,
    prefix,
    0,
    0,
    RT_TABLE_MAIN,
    RTPROT_BOOT,
    scope,
    RTN_UNICAST,
    0,
    0,
    0,
    0,
  ]);
  return { type: RTM_NEWROUTE, flags: made, body: Buffer.concat([header, ...attributes]), what: 'route add' };
}

/** struct ifinfomsg. */
function linkHeader(index: number, flags: number): Buffer {
  const header = Buffer.alloc(16);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(flags, 12);
  return header;
}

function named(name: string): Buffer {
  return Buffer.concat([linkHeader(0, 0), attribute(IFLA.name, text(name))]);
}

function endAttributes({ name, mac }: LinkEnd, mtu: number): Buffer {
  const parts = [attribute(IFLA.name, text(name)), attribute(IFLA.address, hardware(mac))];
  return Buffer.concat([...parts, attribute(IFLA.mtu, u32(mtu))]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function ip(address: string): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(numberFromAddress(address));
  return bytes;
}

const hardware = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');
const text = (value: string): Buffer => Buffer.from(`${value}\0`, 'latin1');
