import { BlockList, isIP, isIPv4 } from 'node:net';
import type { Span } from '../span.ts';

/** Addresses that identify nobody outside of their own network: private, loopback, link-local, unspecified. */
const impersonal = new BlockList();
for (const [net, prefix] of [
  ['10.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['0.0.0.0', 32],
] as const)
  impersonal.addSubnet(net, prefix, 'ipv4');
for (const [net, prefix] of [
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
] as const)
  impersonal.addSubnet(net, prefix, 'ipv6');

/** Public addresses in a text, also with a port or a prefix length. Private ones stay. */
export function* addressesIn(text: string): Generator<Span> {
  for (const { index, 0: word } of text.matchAll(/(?<![\w.:])[0-9A-Fa-f:.]{2,64}(?!\w)/g)) {
    const address = longestAddress(word);
    if (address === undefined || impersonal.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')) continue;
    yield { from: index, to: index + address.length };
  }
}

/** The word without what may stand behind an address: a port, the end of a sentence. */
function longestAddress(word: string): string | undefined {
  const candidates = [word, word.replace(/[.:]+$/, ''), word.replace(/:\d{1,5}[.:]?$/, '')];
  return candidates.find((candidate) => isIP(candidate) !== 0);
}
