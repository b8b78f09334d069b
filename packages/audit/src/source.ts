import { isIPv4, isIPv6 } from 'node:net';
import type { AuditSource } from './record.ts';
import type { PersonalFields } from './seal.ts';

const userAgentMax = 200;

/**
 * Splits where a request came from into a clear part, which does not identify a person, and a personal part to be
 * sealed. What is shortened later could not be shortened in a log that is never rewritten, so it is shortened now.
 */
export function splitSource(address: string, userAgent: string): { clear: AuditSource; personal: PersonalFields } {
  const ip = address.startsWith('::ffff:') && isIPv4(address.slice(7)) ? address.slice(7) : address;
  const isAddress = isIPv4(ip) || isIPv6(ip);
  return {
    clear: { network: networkOf(ip), agent: /^[A-Za-z][A-Za-z0-9_.-]{0,39}(?=[/ ]|$)/.exec(userAgent)?.[0] },
    personal: {
      ip: isAddress ? ip : undefined,
      userAgent: userAgent === '' ? undefined : userAgent.slice(0, userAgentMax).toWellFormed(),
    },
  };
}

/** `/24` of IPv4, `/48` of IPv6; undefined for anything else. */
function networkOf(ip: string): string | undefined {
  if (isIPv4(ip)) return `${ip.split('.').slice(0, 3).join('.')}.0/24`;
  if (!isIPv6(ip)) return undefined;
  const [head = '', tail] = ip.split('%', 1)[0]?.split('::') ?? [];
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const rightGroups = right.length + (right.at(-1)?.includes('.') === true ? 1 : 0);
  const filled =
    tail === undefined
      ? left
      : [...left, ...Array<string>(Math.max(0, 8 - left.length - rightGroups)).fill('0'), ...right];
  return `${filled
    .slice(0, 3)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/48`;
}
