import { existsSync } from 'node:fs';

/** An address of the internet's stand-in that sandboxes may reach. */
export const publicAddress = '45.67.89.30';

/** Addresses of metadata services. world.ts lets each of them answer the host. */
export const metadataAddresses = [
  '169.254.169.254',
  '100.100.100.200',
  '168.63.129.16',
  '169.254.170.2',
  '192.0.0.192',
] as const;
export const metadataAddress6 = 'fd00:ec2::254';
/** Whether this host has IPv6 at all. */
export const hasIpv6 = existsSync('/proc/net/if_inet6');
