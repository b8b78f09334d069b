import { CommandError, run } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import type { AddressPlan } from './address-plan.ts';
import { textFromCidr } from './cidr.ts';
import type { NftWriter } from './nft-writer.ts';
import type { ParsedPolicy } from './policy.ts';

/**
 * Tells a sandbox at once that its policy forbids a UDP packet: a name look-up waits for as long as half a minute otherwise. It is no
 * wall: what is not refused here is dropped by the table of family inet, all the same.
 *
 * The answer is ICMP, which holds a copy of the packet. Where that table judges, the packet has the slot's address already, and a
 * sandbox does not know the copy for its own. So this is a chain of family netdev at the host's end of the pair, before translation.
 */
export interface UdpRefusals {
  /** For a slot with an interface; one without is left as it is. */
  set(slot: number, policy: ParsedPolicy): Promise<void>;
  clear(slot: number): Promise<void>;
}

export async function openUdpRefusals(options: {
  plan: AddressPlan;
  writer: NftWriter;
  logger: Logger;
  hasInterface: (slot: number) => boolean;
}): Promise<UdpRefusals> {
  const { plan, writer, logger, hasInterface } = options;
  const slots = await readSlots(plan);
  const isSupported = await canRefuse(plan, logger);
  return {
    async set(slot, policy) {
      if (!isSupported || !hasInterface(slot)) return;
      try {
        slots.add(slot);
        await writer.apply(refusalText(plan, slot, policy));
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        slots.delete(slot);
        // The sandbox may have ended in this very moment.
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

/** The transaction that refuses what `policy` forbids, in place of what was refused before. */
export function refusalText(plan: AddressPlan, slot: number, policy: ParsedPolicy): string {
  const { table, chain } = names(plan, slot);
  const set = (ranges: ParsedPolicy['allowed']): string => `{ ${ranges.map(textFromCidr).join(', ')} }`;
  const rules: string[] = [];
  if (policy.allowed.length > 0) rules.push(`ip daddr ${set(policy.allowed)} accept`);
  rules.push(`${policy.closed ? '' : `ip daddr ${set(policy.denied)} `}ip protocol udp reject`);
  return [
    clearRefusalText(plan, slot).trimEnd(),
    `add chain ${table} ${chain} { type filter hook ingress device "${plan.interfaceOf(slot)}" priority 0; policy accept; }`,
    ...rules.map((rule) => `add rule ${table} ${chain} ${rule}`),
    '',
  ].join('\n');
}

/** Repeating it does no harm. The kernel removes the chain with its interface, or (since 6.16) keeps it for the next of that name. */
export function clearRefusalText(plan: AddressPlan, slot: number): string {
  const { table, chain } = names(plan, slot);
  return [
    `add table ${table}`,
    `add chain ${table} ${chain}`,
    `flush chain ${table} ${chain}`,
    `delete chain ${table} ${chain}`,
    '',
  ].join('\n');
}

const names = (plan: AddressPlan, slot: number): { table: string; chain: string } => ({
  table: `netdev ${plan.table}`,
  chain: `refuse_${slot}`,
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

/** The slots that an earlier server left a chain for. */
async function readSlots(plan: AddressPlan): Promise<Set<number>> {
  try {
    const listing = await run('nft', ['list', 'table', 'netdev', plan.table]);
    return new Set([...listing.matchAll(/chain refuse_([0-9]+)/g)].map((match) => Number(match[1])));
  } catch (error) {
    if (error instanceof CommandError) return new Set();
    throw error;
  }
}
