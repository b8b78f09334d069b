import { closeSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { NetlinkError, createNetlinkSocket, netlinkProtocol } from '@soulbox/linux/netlink';
import type { AddressPlan } from './address-plan.ts';
import { inner } from './address-plan.ts';
import { openNamespaceFd, openNetlinkIn, writeSetting, writeSettingsIn } from './enter-namespace.ts';
import {
  addAddress,
  addDefaultRoute,
  addHostRoute,
  addNeighbor,
  findLink,
  indexFrom,
  interfaceFlags,
  loopback,
  makePair,
  removeLink,
  setFlags,
} from './route-requests.ts';

const upTimeoutMs = 2_000;

/** Kernel parameters of a sandbox's namespace, below /proc/sys/net. */
const innerSettings = {
  // Applies to future interfaces. lo exists already and keeps ::1.
  'ipv6/conf/default/disable_ipv6': '1',
  // The address translation on the host does not cover ICMP errors, so let TCP discover a small path MTU by itself.
  'ipv4/tcp_mtu_probing': '1',
} as const;

/**
 * Creates the interface pair. One end is in the namespace at `path`, has its address and is up. The host's end stays
 * down until `plugLink`, so no packet passes before. On an error nothing is left. Uses netlink instead of ip(8),
 * because a spawn blocks this thread for milliseconds.
 */
export async function createLink(plan: AddressPlan, slot: number, path: string, mtu: number): Promise<void> {
  const name = plan.interfaceOf(slot);
  // Use our own descriptor, because the process behind `path` may end at any moment and another process may get its
  // pid.
  const fd = openNamespaceFd(path);
  try {
    writeSettingsIn(fd, innerSettings);
    await makeEnds(name, fd, mtu);
    writeSetting(`ipv6/conf/${name}/disable_ipv6`, '1');
    await setUpInner(fd);
  } catch (error) {
    await deleteLink(name);
    throw error;
  } finally {
    closeSync(fd);
  }
}

/**
 * Brings the host's end of a pair up. It uses no ARP, because a sandbox could fill the host's neighbor table with
 * requests. The neighbor entry has the translated address, since the kernel looks it up after the last hook.
 */
export async function plugLink(plan: AddressPlan, slot: number): Promise<void> {
  const name = plan.interfaceOf(slot);
  using socket = createNetlinkSocket(netlinkProtocol.route);
  const [found] = await socket.ask([findLink(name)]);
  const index = indexFrom(found);
  await socket.ask([
    setFlags(index, interfaceFlags.up | interfaceFlags.noArp),
    addHostRoute(index, plan.addressOf(slot)),
    addNeighbor(index, inner.address, inner.mac),
  ]);
  await waitUntilUp(name);
}

async function makeEnds(name: string, namespaceFd: number, mtu: number): Promise<void> {
  using socket = createNetlinkSocket(netlinkProtocol.route);
  const [own, peer] = [
    { name, mac: inner.gatewayMac },
    { name: inner.interfaceName, mac: inner.mac },
  ];
  await socket.ask([makePair(own, peer, namespaceFd, mtu)]);
}

async function setUpInner(namespaceFd: number): Promise<void> {
  using socket = openNetlinkIn(namespaceFd, netlinkProtocol.route);
  const [found] = await socket.ask([findLink(inner.interfaceName), setFlags(loopback, interfaceFlags.up)]);
  const index = indexFrom(found);
  await socket.ask([
    addAddress(index, inner.address, inner.prefix),
    setFlags(index, interfaceFlags.up),
    addNeighbor(index, inner.gateway, inner.gatewayMac),
    addDefaultRoute(inner.gateway),
  ]);
}

/**
 * Waits until the interface can send. The kernel starts the queue of the end that came up first from a work item, a
 * moment later, and drops packets until then. TCP would resend a dropped packet only after a whole second.
 */
async function waitUntilUp(name: string): Promise<void> {
  for (let waitedMs = 0; waitedMs < upTimeoutMs; waitedMs += 2) {
    if (readFileSync(`/sys/class/net/${name}/operstate`, 'latin1').trim() === 'up') return;
    await sleep(2);
  }
}

/** Removes a pair by its host end. If it does not exist (its namespace ended), that is not an error. */
export async function deleteLink(name: string): Promise<void> {
  using socket = createNetlinkSocket(netlinkProtocol.route);
  try {
    await socket.ask([removeLink(name)]);
  } catch (error) {
    if (!(error instanceof NetlinkError && error.errno === constants.errno.ENODEV)) throw error;
  }
}
