import { isAtLeast } from './versions.ts';

/** The first version of a release line that has none of the known faults. */
export interface FirstGood {
  readonly line: number;
  readonly version: readonly number[];
}

export interface KnownBad {
  readonly firstGood: readonly FirstGood[];
  /** Published faults of earlier versions that concern a server of ours, with what they allow. */
  readonly faults: readonly string[];
}

/**
 * Versions of Node.js that the server refuses to run with. It is our own copy in every installation, never that of a
 * distribution, so no fix can be in an older version. From the announcements of 2026-01-13 and 2026-03-24 on nodejs.org.
 */
export const knownBadNode: KnownBad = {
  firstGood: [
    { line: 24, version: [24, 14, 1] },
    { line: 25, version: [25, 8, 2] },
  ],
  faults: [
    'CVE-2025-59465 (one HTTP/2 frame ends the process)',
    'CVE-2026-21710 (one header ends the process)',
    'CVE-2026-21714 (HTTP/2 frames use up the memory)',
    'CVE-2026-21717 (JSON with chosen keys uses up the CPU)',
  ],
};

/** The first good version of the line of this version, if it is older than that. */
export function findFirstGood({ firstGood }: KnownBad, version: readonly number[]): readonly number[] | undefined {
  const wanted = firstGood.find(({ line }) => line === version[0]);
  return wanted === undefined || isAtLeast(version, wanted.version) ? undefined : wanted.version;
}
