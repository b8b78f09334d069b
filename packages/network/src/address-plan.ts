import { SoulBoxError } from '@soulbox/base';
import type { Cidr } from './cidr.ts';
import { addressFromNumber, findCidr, textFromCidr } from './cidr.ts';

/** The slots of an instance. Each sandbox with a network has one. */
export const firstSlot = 1;
export const lastSlot = 4095;

/** x.y.255.254: no slot has it. */
const egressOffset = 255 * 256 + 254;
/** Where the egress process listens on its address. */
export const egressPorts = { tcp: 5380, dns: 5353 } as const;

/** The same in every sandbox, so that addresses and neighbors survive a checkpoint, a fork and a restart. */
export const inner = {
  interfaceName: 'eth0',
  address: '10.11.0.2',
  gateway: '10.11.0.1',
  prefix: 24,
  /** Locally administered addresses. Both ends have a permanent entry for the other, so no ARP is needed. */
  mac: '02:50:42:00:00:02',
  gatewayMac: '02:50:42:00:00:01',
} as const;

/** The names and addresses that one instance owns on the host. */
export interface AddressPlan {
  readonly instance: number;
  /** The nft table, of family inet. */
  readonly table: string;
  /** The prefix of every host-side interface. No other interface has it. */
  readonly interfacePrefix: string;
  readonly base: Cidr;
  /** The host's own address in the range, on which the egress process listens for packets that are redirected to it. */
  readonly egressAddress: string;
  addressOf(slot: number): string;
  interfaceOf(slot: number): string;
  /** The slot of an interface name, or undefined if it is not one of ours. */
  findSlot(interfaceName: string): number | undefined;
}

/**
 * `base` is an IPv4 range with prefix 16, default `10.(200 + instance).0.0/16`. The host sees slot s as base + s.
 * Throws config_invalid for any other base.
 */
export function createAddressPlan(instance: number, base = `10.${200 + instance}.0.0/16`): AddressPlan {
  const range = findCidr(base);
  if (range?.prefix !== 16 || textFromCidr(range) !== base)
    throw new SoulBoxError('config_invalid', `The sandbox address range "${base}" must have the form a.b.0.0/16.`);
  // An interface name has at most 15 characters; `sb14x4095` has 9. The `x` distinguishes instances 1 and 12.
  const interfacePrefix = `sb${instance}x`;
  const pattern = new RegExp(`^${interfacePrefix}([1-9][0-9]{0,3})$`);
  return {
    instance,
    table: `soulbox_${instance}`,
    interfacePrefix,
    base: range,
    egressAddress: addressFromNumber(range.address + egressOffset),
    addressOf: (slot) => addressFromNumber(range.address + checkSlot(slot)),
    interfaceOf: (slot) => `${interfacePrefix}${checkSlot(slot)}`,
    findSlot: (interfaceName) => {
      const slot = Number(pattern.exec(interfaceName)?.[1]);
      return slot >= firstSlot && slot <= lastSlot ? slot : undefined;
    },
  };
}

function checkSlot(slot: number): number {
  if (!Number.isInteger(slot) || slot < firstSlot || slot > lastSlot)
    throw new SoulBoxError('internal', `Network slot ${slot} is outside ${firstSlot} to ${lastSlot}.`);
  return slot;
}
