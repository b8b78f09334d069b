import { CommandError, run } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import type { AddressPlan } from './address-plan.ts';
import type { NftWriter } from './nft-writer.ts';
import type { ParsedPolicy } from './policy.ts';
import { matchesOf, tell } from './ruleset.ts';
import { sharedLimits } from './shared-limits.ts';

/**
 * Tells a sandbox at once that its policy forbids a UDP packet. Otherwise a name lookup waits for up to half a minute.
 * This is not a security barrier: the table of family inet drops forbidden packets in any case.
 *
 * The response is an ICMP packet, which contains a copy of the original. Where the inet table judges, the packet
 * already has the slot's address, and a sandbox would not recognize the copy as its own. So this is a chain of family
 * netdev at the host's end of the pair, before translation.
 */
export interface UdpRefusals {
  /** Only for a slot with an interface; other slots are left unchanged. */
  set(slot: number, policy: ParsedPolicy): Promise<void>;
  clear(slot: number): Promise<void>;
}

export async function openUdpRefusals(options: {
  plan: AddressPlan;
  writer: NftWriter;
  logger: Logger;
  hasInterface: (slot: number) => boolean;
  /** Whether look-ups are answered by an egress process. */
  hasEgress: boolean;
  /** Where refused packets are told. Absent: nowhere. */
  logGroup?: number | undefined;
}): Promise<UdpRefusals> {
  const { plan, writer, logger, hasInterface, hasEgress, logGroup } = options;
  const slots = await readSlots(plan);
  const isSupported = await canRefuse(plan, logger);
  return {
    async set(slot, policy) {
      if (!isSupported || !hasInterface(slot)) return;
      try {
        slots.add(slot);
        await writer.apply(refusalText(plan, slot, policy, { hasEgress, logGroup }));
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        slots.delete(slot);
        // The sandbox may have just ended.
        if (!hasInterface(slot)) return;
        logger.warn({ err: error, slot }, 'UDP packets that a policy forbids are dropped without a response');
      }
    },
    async clear(slot) {
      if (!slots.has(slot)) return;
      await writer.apply(clearRefusalText(plan, slot));
      slots.delete(slot);
    },
  };
}

/** The transaction that refuses the targets which `policy` forbids, and replaces earlier refusals. */
export function refusalText(
  plan: AddressPlan,
  slot: number,
  policy: ParsedPolicy,
  { hasEgress = true, logGroup }: { hasEgress?: boolean; logGroup?: number | undefined } = {},
): string {
  const { table, chain, told } = names(plan, slot);
  const covered = (list: ParsedPolicy['allowed'], verdict: string): string[] =>
    matchesOf(list, 'ip daddr', 'th dport').map((match) => `${match} ${verdict}`);
  // The egress process answers look-ups, also those that the policy forbids.
  const rules = hasEgress ? ['udp dport 53 accept'] : [];
  const refuse = (match: string): string[] => [`${match} ${logGroup === undefined ? 'reject' : `goto ${told}`}`];
  if (policy.datagrams === 'not-web') rules.push(...refuse('udp dport { 80, 443 }'));
  if (policy.datagrams !== 'none') rules.push(...covered(policy.allowed, 'accept'));
  if (policy.closed || policy.datagrams === 'none') rules.push(...refuse('ip protocol udp'));
  else
    for (const match of matchesOf(policy.denied, 'ip daddr', 'th dport'))
      rules.push(...refuse(`${match} ip protocol udp`));
  return [
    clearRefusalText(plan, slot).trimEnd(),
    ...(logGroup === undefined ? [] : toldText(plan, slot, logGroup)),
    `add chain ${table} ${chain} { type filter hook ingress device "${plan.interfaceOf(slot)}" priority 0; policy accept; }`,
    ...rules.map((rule) => `add rule ${table} ${chain} ${rule}`),
    '',
  ].join('\n');
}

/** The chain that tells of refusals, within one limit of the slot whatever the number of its rules, and one of all slots. */
function toldText(plan: AddressPlan, slot: number, logGroup: number): string[] {
  const { table, told } = names(plan, slot);
  const { own, more, all } = sharedLimits.refusals;
  // Here packets do not have the slot's address yet, so the prefix says whose they are.
  const tellIt = tell(logGroup, String(slot));
  return [
    // Adding it again changes nothing.
    `add limit ${table} ${limitOfAll} { rate ${all} ; }`,
    `add chain ${table} ${told}`,
    `add rule ${table} ${told} limit rate ${own} ${tellIt} reject`,
    `add rule ${table} ${told} limit rate ${more} limit name "${limitOfAll}" ${tellIt} reject`,
    `add rule ${table} ${told} reject`,
  ];
}

/**
 * Safe to repeat. The kernel removes the chain with its interface, or (since 6.16) keeps it for the next interface of
 * that name.
 */
export function clearRefusalText(plan: AddressPlan, slot: number): string {
  const { table, chain, told } = names(plan, slot);
  const remove = (name: string): string[] => ['add', 'flush', 'delete'].map((verb) => `${verb} chain ${table} ${name}`);
  // The second one is in use by the first.
  return [`add table ${table}`, ...remove(chain), ...remove(told), ''].join('\n');
}

/** Bounds what all sandboxes together have told, as in the inet table. */
const limitOfAll = 'told_of_all';

const names = (plan: AddressPlan, slot: number): { table: string; chain: string; told: string } => ({
  table: `netdev ${plan.table}`,
  chain: `refuse_${slot}`,
  told: `told_${slot}`,
});

/** Asks the kernel without changing anything. */
async function canRefuse(plan: AddressPlan, logger: Logger): Promise<boolean> {
  const table = `netdev ${plan.table}`;
  const input = [
    `add table ${table}`,
    `add chain ${table} probe { type filter hook ingress device "lo" priority 0; policy accept; }`,
    `add rule ${table} probe ip protocol udp reject`,
    '',
  ].join('\n');
  try {
    await run('nft', ['--check', '-f', '-'], { input });
    return true;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    logger.warn(
      { err: error },
      'UDP packets that a policy forbids are dropped without a response: no NFT_REJECT_NETDEV',
    );
    return false;
  }
}

/** The slots for which an earlier server left a chain. */
async function readSlots(plan: AddressPlan): Promise<Set<number>> {
  try {
    const listing = await run('nft', ['list', 'table', 'netdev', plan.table]);
    return new Set([...listing.matchAll(/chain (?:refuse|told)_([0-9]+)/g)].map((match) => Number(match[1])));
  } catch (error) {
    if (error instanceof CommandError) return new Set();
    throw error;
  }
}
