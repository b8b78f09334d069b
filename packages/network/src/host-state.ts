import { readFileSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { SoulBoxError, run } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import type { AddressPlan } from './address-plan.ts';
import { findCidr, overlaps, textFromCidr } from './cidr.ts';

interface Route {
  readonly dst?: string;
  readonly dev?: string;
}
interface Chain {
  readonly table?: string;
  readonly name?: string;
  readonly hook?: string;
  readonly policy?: string;
}

/**
 * Throws config_invalid if the host already uses addresses in the plan's range. A wider route that contains the range
 * is only logged: our own routes are more specific, and sandboxes could not reach its destination anyway.
 */
export function checkOverlap(plan: AddressPlan, routes: readonly Route[], logger: Logger): void {
  const taken = [
    ...hostAddresses()
      .filter((address) => address !== plan.egressAddress)
      .map((address) => ({ dst: address, dev: 'an interface of the host' })),
    ...routes.filter((route) => plan.findSlot(route.dev ?? '') === undefined),
  ];
  for (const { dst = '', dev = '' } of taken) {
    const range = findCidr(dst);
    if (range === undefined || !overlaps(range, plan.base)) continue;
    const base = textFromCidr(plan.base);
    if (range.prefix < plan.base.prefix) {
      logger.warn({ route: dst, dev, base }, 'a route of the host contains the address range of the sandboxes');
      continue;
    }
    throw new SoulBoxError(
      'config_invalid',
      `The sandbox address range ${base} is already in use: ${dst} on ${dev}. Configure another range of the form a.b.0.0/16.`,
    );
  }
}

/** All IPv4 addresses of the host. */
export function hostAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).filter((entry) => entry.family === 'IPv4').map((entry) => entry.address),
  );
}

export async function readRoutes(): Promise<readonly Route[]> {
  return JSON.parse(await run('ip', ['-json', '-4', 'route', 'show'])) as Route[];
}

/**
 * The MTU of the default route, so that a sandbox never sends packets that the host must reject. 1500 without a default
 * route.
 */
export function findMtu(routes: readonly Route[]): number {
  const device = routes.find((route) => route.dst === 'default')?.dev;
  if (device === undefined) return 1500;
  const mtu = Number(readFileSync(`/sys/class/net/${device}/mtu`, 'utf8'));
  return Math.min(Math.max(mtu, 1280), 65_535);
}

/**
 * Enables forwarding on the host, if setup has not done it. `soulbox uninstall` reverts only the changes made by setup.
 */
export function allowForwarding(): void {
  const path = '/proc/sys/net/ipv4/ip_forward';
  if (readFileSync(path, 'utf8').trim() !== '1') writeFileSync(path, '1');
}

/**
 * If another table drops packets that our table accepts (Docker, ufw, firewalld), that beats our accept. Log its name,
 * because the symptom looks like a missing network.
 */
export async function warnOfForeignDrop(plan: AddressPlan, logger: Logger): Promise<void> {
  const listing = JSON.parse(await run('nft', ['--json', 'list', 'chains'])) as { nftables?: { chain?: Chain }[] };
  const chains = (listing.nftables ?? []).flatMap(({ chain }) => (chain === undefined ? [] : [chain]));
  for (const { chain, symptom } of foreignDrops(chains, plan.table))
    logger.warn({ table: chain.table, chain: chain.name, interfaces: `${plan.interfacePrefix}*` }, symptom);
}

const symptoms: Readonly<Record<string, string>> = {
  forward:
    'another firewall drops forwarded packets; sandboxes have no internet access until it accepts their interfaces',
  input:
    'another firewall drops packets to this host; sandboxes with a network policy have no name server, and no TCP if ' +
    'the policy has names, until it accepts their interfaces',
};

/** The chains of other tables that drop what ours accepts, unless a rule of theirs accepts it. */
export function foreignDrops(chains: readonly Chain[], ownTable: string): { chain: Chain; symptom: string }[] {
  return chains.flatMap((chain) => {
    const symptom = symptoms[chain.hook ?? ''];
    return symptom === undefined || chain.policy !== 'drop' || chain.table === ownTable ? [] : [{ chain, symptom }];
  });
}
