import { isIPv4 } from 'node:net';
import { CommandError, SoulBoxError, run } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { createAddressPlan } from './address-plan.ts';
import type { AddressPlan } from './address-plan.ts';
import { findCidr, overlaps, textFromCidr } from './cidr.ts';
import type { Cidr } from './cidr.ts';
import { closeOutside } from './close-outside.ts';
import { closeUnaccepted, hasUnaccepted } from './unaccepted.ts';
import { readDeviceCounters } from './device-counters.ts';
import type { NetworkCounters } from './device-counters.ts';
import { addEgressAddress, removeEgressAddress } from './egress-address.ts';
import { allowForwarding, checkOverlap, findMtu, hostAddresses, readRoutes, warnOfForeignDrop } from './host-state.ts';
import type { FlowLog } from './flows/flow-log.ts';
import { flushFlows, flushLookups } from './flush-flows.ts';
import { createLink, deleteLink, plugLink } from './link.ts';
import { createNftWriter, writeOnce } from './nft-writer.ts';
import { isOpen, parseEgressPolicy } from './policy.ts';
import type { EgressPolicy } from './policy.ts';
import { forbiddenIpv4 } from './outside/forbidden-ranges.ts';
import { openUdpRefusals } from './udp-refusals.ts';
import { clearPolicyText, policyText, rulesetText } from './ruleset.ts';

export interface NetworkOptions {
  /** 0 to 14. It determines all names and, without `base`, the addresses. */
  readonly instance: number;
  readonly logger: Logger;
  /** The IPv4 /16 for the host's side of the sandboxes. Default: 10.(200 + instance).0.0/16. */
  readonly base?: string | undefined;
  /**
   * The name servers of sandboxes. One in a private range is opened for port 53 only; one of the host's own addresses
   * is rejected.
   */
  readonly nameServers: readonly string[];
  /**
   * Addresses and CIDR networks that no sandbox may reach, in addition to the built-in ones. Sandboxes have no IPv6.
   */
  readonly denied?: readonly string[];
  /** The user of the egress process. Absent: it is root, or there is none. */
  readonly egressUserId?: number | undefined;
  /** What the egress process enforces. Absent: there is no such process, and what it would judge is refused. */
  readonly policies?: PolicySink | undefined;
  /** What records the connections that the packet filter judges alone. Absent: nothing. */
  readonly flowLog?: FlowLog | undefined;
  /**
   * Maximum connections that one sandbox may have open through the host. Default: 4096. All sandboxes share the host's
   * table.
   */
  readonly maxFlows?: number;
}

/** Gets every policy that is not open, for the egress process. Both calls resolve when they are in effect. */
export interface PolicySink {
  put(address: string, policy: EgressPolicy): Promise<void>;
  remove(address: string): Promise<void>;
}

/** The network of one instance. All methods may run for many slots at once, but only one at a time per slot. */
export interface Network {
  /**
   * Gives the namespace at `namespacePath` its interface: eth0, 10.11.0.2, a route to the outside, and `policy`
   * (default: open). Anything left by an earlier owner of the slot is removed first. On an error nothing is left. No
   * packet passes before `plug`, so a spare without an owner can wait for its policy at no cost.
   */
  attachUnplugged(slot: number, namespacePath: string, policy?: EgressPolicy): Promise<void>;
  /** Lets packets pass through an unplugged interface. */
  plug(slot: number): Promise<void>;
  /** Combines `attachUnplugged` and `plug`. */
  attach(slot: number, namespacePath: string, policy?: EgressPolicy): Promise<void>;
  /** Removes the slot's interface and policy. Safe to repeat. */
  detach(slot: number): Promise<void>;
  /** Replaces the slot's policy. Open connections that it forbids end. Throws the errors of parseEgressPolicy. */
  setPolicy(slot: number, policy: EgressPolicy): Promise<void>;
  clearPolicy(slot: number): Promise<void>;
  /**
   * Ends the TCP connections of a namespace whose other end is outside it, including those of the host. Connections
   * between processes inside stay. Meant for a frozen sandbox. Returns the number of ended connections.
   */
  closeOutside(namespacePath: string): number;
  /** Whether a server inside has TCP connections that it has not accepted yet. */
  hasUnaccepted(namespacePath: string): boolean;
  /** Resets the connections that no server inside has accepted yet. Returns the number of ended connections. */
  closeUnaccepted(namespacePath: string): number;
  /** The slots that have an interface on this host, for the cleanup at the start. */
  listTraces(): number[];
  /** The traffic of every slot with an interface, from a single read. */
  counters(): Map<number, NetworkCounters>;
  /** Removes everything of the instance from the host. A server that only restarts must not call this. */
  close(): Promise<void>;
}

/**
 * Prepares the host, or takes over from an earlier server: interfaces and policies of running sandboxes stay. Throws
 * config_invalid for a range in use or an unreachable name server, and host_not_ready without nft or ip.
 */
export async function openNetwork(options: NetworkOptions): Promise<Network> {
  const { logger } = options;
  const plan = createAddressPlan(options.instance, options.base);
  const { denied, resolvers } = readRanges(plan, options);
  const routes = await onHost(readRoutes);
  checkOverlap(plan, routes, logger);
  const mtu = findMtu(routes);
  allowForwarding();
  const { maxFlows = 4096, egressUserId, policies, flowLog } = options;
  const logGroup = flowLog?.group;
  flowLog?.setDenied(denied);
  const hasEgress = policies !== undefined;
  const ruleset = rulesetText({ plan, denied, resolvers, maxFlows, egressUserId, logGroup });
  await onHost(async () => {
    await addEgressAddress(plan);
    await writeRuleset(plan, ruleset, logger);
  });
  await warnOfForeignDrop(plan, logger);
  const writer = createNftWriter();
  // Remembers the slots with a policy. A slot without one, the usual case, then needs no nft process to clear it.
  const withPolicy = await onHost(async () => await readPolicySlots(plan));
  const slots = (): Map<number, NetworkCounters> => readDeviceCounters(plan);
  const hasInterface = (slot: number): boolean => slots().has(slot);
  const refusals = await openUdpRefusals({ plan, writer, logger, hasInterface, hasEgress, logGroup });
  // After the filter: a packet in between would be a new flow with the old decision.
  const forgetLookups = async (slot: number): Promise<void> => {
    if (hasInterface(slot)) await flushLookups(plan.addressOf(slot));
  };

  /** For a slot without an interface. */
  const endFlows = async (slot: number): Promise<void> => {
    await flushFlows(plan.addressOf(slot));
    flowLog?.end(slot);
  };

  const network: Network = {
    attach: async (slot, namespacePath, policy = {}) => {
      await network.attachUnplugged(slot, namespacePath, policy);
      try {
        await network.plug(slot);
      } catch (error) {
        await network.detach(slot);
        throw error;
      }
    },
    plug: async (slot) => await plugLink(plan, slot),
    attachUnplugged: async (slot, namespacePath, policy = {}) => {
      if (hasInterface(slot)) await deleteLink(plan.interfaceOf(slot));
      await endFlows(slot);
      flowLog?.begin(slot);
      await network.setPolicy(slot, policy);
      try {
        await createLink(plan, slot, namespacePath, mtu);
        const parsed = parseEgressPolicy(policy);
        if (!isOpen(parsed)) await refusals.set(slot, parsed);
      } catch (error) {
        await deleteLink(plan.interfaceOf(slot));
        await network.clearPolicy(slot);
        flowLog?.end(slot);
        throw error;
      }
    },
    detach: async (slot) => {
      await deleteLink(plan.interfaceOf(slot));
      await Promise.all([network.clearPolicy(slot), endFlows(slot)]);
    },
    setPolicy: async (slot, policy) => {
      const parsed = parseEgressPolicy(policy);
      flowLog?.put(slot, policy);
      if (isOpen(parsed)) {
        await network.clearPolicy(slot);
        return;
      }
      withPolicy.add(slot);
      const applied = [writer.apply(policyText(plan, slot, parsed, hasEgress)), refusals.set(slot, parsed)];
      await Promise.all([...applied, policies?.put(plan.addressOf(slot), policy)]);
      await forgetLookups(slot);
    },
    clearPolicy: async (slot) => {
      if (!withPolicy.has(slot)) return;
      const cleared = [writer.apply(clearPolicyText(plan, slot)), refusals.clear(slot)];
      await Promise.all([...cleared, policies?.remove(plan.addressOf(slot))]);
      withPolicy.delete(slot);
      await forgetLookups(slot);
    },
    closeOutside: (namespacePath) => closeOutside(namespacePath),
    hasUnaccepted,
    closeUnaccepted,
    listTraces: () => [...slots().keys()],
    counters: slots,
    close: async () => await removeNetwork(options.instance),
  };
  return network;
}

/**
 * Removes the interfaces and the table of an instance, whatever state they are in. Safe to repeat. Only `ip_forward`
 * stays changed.
 */
export async function removeNetwork(instance: number): Promise<void> {
  const plan = createAddressPlan(instance);
  for (const slot of readDeviceCounters(plan).keys()) await deleteLink(plan.interfaceOf(slot));
  await removeEgressAddress(plan);
  await writeOnce(`add table inet ${plan.table}\ndelete table inet ${plan.table}\n`);
  // The netdev table exists only if the kernel supports the family.
  const tables = await run('nft', ['list', 'tables']);
  if (tables.includes(`table netdev ${plan.table}\n`)) await writeOnce(`delete table netdev ${plan.table}\n`);
}

/** Whether an instance has interfaces or a table on this host. */
export async function hasNetwork(instance: number): Promise<boolean> {
  const plan = createAddressPlan(instance);
  if (readDeviceCounters(plan).size > 0) return true;
  const tables = await run('nft', ['list', 'tables', 'inet']).catch(() => '');
  return tables.split('\n').some((line) => line.endsWith(` ${plan.table}`));
}

function readRanges(plan: AddressPlan, options: NetworkOptions): { denied: Cidr[]; resolvers: string[] } {
  const wanted = (options.denied ?? []).filter((text) => !text.includes(':'));
  const denied = [...forbiddenIpv4, ...wanted, textFromCidr(plan.base)].map((text) => {
    const range = findCidr(text);
    if (range !== undefined) return range;
    throw new SoulBoxError('config_invalid', `The denied range "${text}" is not an IPv4 address or CIDR.`);
  });
  for (const address of options.nameServers) {
    const fault = findNameServerFault(address);
    if (fault !== undefined) throw new SoulBoxError('config_invalid', fault);
  }
  return { denied, resolvers: options.nameServers.filter((address) => isDenied(address, denied)) };
}

/** Returns why sandboxes cannot use this name server, or undefined if they can. */
export function findNameServerFault(address: string): string | undefined {
  if (!isIPv4(address)) return `The name server "${address}" is not an IPv4 address.`;
  return address.startsWith('127.') || hostAddresses().includes(address)
    ? `The name server ${address} is this host, which sandboxes cannot reach. Configure one outside.`
    : undefined;
}

function isDenied(address: string, denied: readonly Cidr[]): boolean {
  const range = findCidr(address);
  return range !== undefined && denied.some((entry) => overlaps(entry, range));
}

/**
 * Writes the table over the existing one. Another version may have left sets with a different layout, which nft cannot
 * change. Then the table is recreated, and every running sandbox is closed until its policy is set again.
 */
async function writeRuleset(plan: AddressPlan, ruleset: string, logger: Logger): Promise<void> {
  try {
    await writeOnce(ruleset);
  } catch (error) {
    const remove = `add table inet ${plan.table}\ndelete table inet ${plan.table}\n`;
    const closed = parseEgressPolicy({ allowInternetAccess: false });
    const policies = [...readDeviceCounters(plan).keys()].map((slot) => policyText(plan, slot, closed));
    await writeOnce([remove, ruleset, ...policies].join(''));
    logger.warn(
      { err: error, closed: policies.length },
      'packet filter was recreated; running sandboxes have no network until their policy is set again',
    );
  }
}

/** The slots for which an earlier server left a policy. */
async function readPolicySlots(plan: AddressPlan): Promise<Set<number>> {
  const listing = await run('nft', ['list', 'map', 'inet', plan.table, 'policies']);
  return new Set([...listing.matchAll(/jump policy_([0-9]+)/g)].map((match) => Number(match[1])));
}

async function onHost<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const message = 'The network could not be set up with `ip` and `nft`. Run `soulbox doctor`; it names the fix.';
    throw new SoulBoxError('host_not_ready', message, { cause: error });
  }
}
