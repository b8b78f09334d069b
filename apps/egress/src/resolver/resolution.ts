import type { Answer, StringAnswer } from 'dns-packet';
import type { UpstreamResponse } from './upstream.ts';

/** Maximum CNAME records in a row. */
const chainMax = 12;
/** Maximum records of one answer. */
const answersMax = 64;
/** Limits of how long an answer is used. Seconds. */
const ttl = { min: 1, max: 300, negativeMax: 30, failed: 1 } as const;

/** What is known about a name. */
export interface Resolution {
  readonly rcode: 'NOERROR' | 'NXDOMAIN' | 'SERVFAIL';
  /** The chain of CNAME records from the asked name, then the records of the asked type at its end. */
  readonly answers: readonly Answer[];
  /** IPv4 addresses among the answers. */
  readonly addresses: readonly string[];
  /** Whether addresses were left out because no sandbox may reach them. */
  readonly hasForbidden: boolean;
  readonly ttlSeconds: number;
}

export const failedResolution: Resolution = {
  ...{ rcode: 'SERVFAIL', answers: [], addresses: [], hasForbidden: false, ttlSeconds: ttl.failed },
};

/**
 * Takes from a response only what answers the question: records of other names, which a response could bring to poison
 * a cache, and addresses that no sandbox may reach, are left out.
 */
export function resolutionFrom(
  response: UpstreamResponse | undefined,
  name: string,
  type: string,
  isOpen: (address: string) => boolean,
): Resolution {
  const rcode = response?.rcode;
  if (response === undefined || (rcode !== 'NOERROR' && rcode !== 'NXDOMAIN')) return failedResolution;
  const records = (response.answers ?? []).filter((record) => record.type !== 'OPT' && (record.class ?? 'IN') === 'IN');
  const chain: Answer[] = [];
  let owner = name;
  for (let next = cnameOf(records, owner); type !== 'CNAME' && next !== undefined; next = cnameOf(records, owner)) {
    chain.push({ ...next, name: owner, ttl: clamped(next.ttl) });
    owner = next.data.toLowerCase();
    if (chain.length > chainMax) return failedResolution;
  }
  const ends = records.filter((record) => record.type === type && record.name.toLowerCase() === owner);
  const isAllowed = (record: Answer): boolean => record.type !== 'A' || isOpen(record.data);
  const kept = ends
    .filter(isAllowed)
    .slice(0, answersMax)
    .map((record) => ({ ...record, name: owner, ttl: clamped('ttl' in record ? record.ttl : 0) }) as Answer);
  const hasForbidden = ends.length > 0 && ends.some((record) => !isAllowed(record));
  // With all its addresses forbidden, a chain would only show names of a private network.
  const answers = hasForbidden && kept.length === 0 ? [] : [...chain, ...kept];
  const times = answers.map((record) => ('ttl' in record ? (record.ttl ?? 0) : 0));
  return {
    rcode,
    answers,
    addresses: kept.flatMap((record) => (record.type === 'A' ? [record.data] : [])),
    hasForbidden,
    ttlSeconds: kept.length > 0 ? Math.min(...times) : ttl.negativeMax,
  };
}

function cnameOf(records: readonly Answer[], owner: string): (StringAnswer & { type: 'CNAME' }) | undefined {
  return records.find(
    (record): record is StringAnswer & { type: 'CNAME' } =>
      record.type === 'CNAME' && record.name.toLowerCase() === owner,
  );
}

const clamped = (seconds = 0): number => Math.min(ttl.max, Math.max(ttl.min, seconds));
