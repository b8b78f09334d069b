/** Length of the time in which look-ups are counted. Milliseconds. */
const windowMs = 60_000;
/** Characters below the registered domain, of one name. Real names have less than 100. */
const nameMax = 160;
/** Different characters below one registered domain, in one window. A tunnel moves its data in them. */
const charactersMax = 4096;
/** Different names with labels that look like data, below one registered domain, in one window. */
const codedNamesMax = 30;
/** TXT look-ups of one sandbox in one window. They carry most data inward. */
const txtMax = 30;
/** Domains that are counted separately, of one sandbox. The others are counted together. */
const domainsMax = 500;
/** Names that are remembered, of one domain. Names that come again carry nothing new. */
const namesMax = 500;

/** Notices when look-ups have the form of data that is tunnelled through DNS. One for each sandbox. */
export interface TunnelWatch {
  /** Counts a look-up. Returns true if it must be refused. */
  isSuspect(name: string, type: string): boolean;
}

interface Counts {
  readonly names: Set<string>;
  characters: number;
  coded: number;
}

export function createTunnelWatch(now: () => number = performance.now.bind(performance)): TunnelWatch {
  let startedAt = now();
  let domains = new Map<string, Counts>();
  let txt = 0;
  const countsOf = (domain: string): Counts => {
    const key = domains.has(domain) || domains.size < domainsMax ? domain : '';
    const counts = domains.get(key) ?? { names: new Set(), characters: 0, coded: 0 };
    domains.set(key, counts);
    return counts;
  };
  return {
    isSuspect(name, type) {
      if (now() - startedAt >= windowMs) {
        startedAt = now();
        domains = new Map();
        txt = 0;
      }
      if (type === 'TXT' && ++txt > txtMax) return true;
      const domain = registeredDomain(name);
      const below = name.slice(0, Math.max(0, name.length - domain.length - 1));
      if (below.length > nameMax) return true;
      const counts = countsOf(domain);
      if (below === '' || counts.names.has(below)) return false;
      if (counts.names.size < namesMax) counts.names.add(below);
      counts.characters += below.length;
      if (below.split('.').some(looksLikeData)) counts.coded += 1;
      return counts.characters > charactersMax || counts.coded > codedNamesMax;
    },
  };
}

/**
 * The last two labels, or three if the second is short as in `co.uk`. An approximation of the public suffix list: a
 * wrong guess only counts a few domains together.
 */
export function registeredDomain(name: string): string {
  const labels = name.split('.');
  const second = labels.at(-2) ?? '';
  return labels.slice(second.length <= 3 && labels.length > 2 ? -3 : -2).join('.');
}

/** Bits per character from which a long part of a label is data. Words have about 3, base32 text has 4 to 5. */
const entropyMin = 3.5;
const codedPartMin = 20;

/** Whether a label has the length and the evenness of encoded data. Hyphens divide words, and not data. */
export function looksLikeData(label: string): boolean {
  return label.split('-').some((part) => part.length >= codedPartMin && (isHexadecimal(part) || isEven(part)));
}

/** Hexadecimal text of words is not even: half of its digits are 6 and 7. */
const isHexadecimal = (part: string): boolean => /^[0-9a-f]+$/.test(part) && /[0-9]/.test(part);

function isEven(part: string): boolean {
  const counts = new Map<string, number>();
  for (const character of part) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / part.length) * Math.log2(count / part.length);
  return bits >= entropyMin;
}
