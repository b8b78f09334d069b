import { run } from '@soulbox/base';
import type { AddressPlan } from './address-plan.ts';

interface LinkAddresses {
  readonly addr_info?: readonly { readonly local?: string; readonly label?: string; readonly prefixlen?: number }[];
}

/**
 * Gives the host the address on which the egress process listens. It is on the loopback interface, but Linux takes
 * packets for it on every interface, so the packet filter drops all but those that it has redirected itself.
 */
export async function addEgressAddress(plan: AddressPlan): Promise<void> {
  const { egressAddress } = plan;
  for (const other of await listEgressAddresses(plan)) if (other !== egressAddress) await remove(other);
  await run('ip', ['address', 'replace', `${egressAddress}/32`, 'dev', 'lo', 'label', labelOf(plan)]);
}

/** Removes the address of an earlier server, whatever its range was. Safe to repeat. */
export async function removeEgressAddress(plan: AddressPlan): Promise<void> {
  for (const address of await listEgressAddresses(plan)) await remove(address);
}

async function listEgressAddresses(plan: AddressPlan): Promise<string[]> {
  const links = JSON.parse(await run('ip', ['-json', '-4', 'address', 'show', 'dev', 'lo'])) as LinkAddresses[];
  const found = links.flatMap(({ addr_info: addresses = [] }) => addresses);
  return found.flatMap(({ label, local }) => (label === labelOf(plan) && local !== undefined ? [local] : []));
}

async function remove(address: string): Promise<void> {
  await run('ip', ['address', 'delete', `${address}/32`, 'dev', 'lo']);
}

/** The kernel requires the name of the interface at the beginning, and allows 15 characters. */
const labelOf = ({ instance }: AddressPlan): string => `lo:sb${instance}x`;
