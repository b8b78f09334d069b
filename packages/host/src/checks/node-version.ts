import type { Check, Finding } from '../finding.ts';
import { sameFix } from '../finding.ts';
import { findFirstGood, knownBadNode } from '../known-bad.ts';
import { findVersion, isAtLeast, showVersion } from '../versions.ts';

export const checkNodeVersion: Check = () => Promise.resolve(judgeNode(process.version));

const fix = sameFix('run npm ci in a clone, or install the package again: Node 24 comes with both');

/** `text` is a version such as `v24.21.0`. */
export function judgeNode(text: string): Finding {
  const base = { id: 'node-version', title: 'Node.js of the server' };
  const version = findVersion(text) ?? [0];
  if (!isAtLeast(version, [24])) return { ...base, status: 'fail', detail: `${text}; 24 is required`, fix };
  const firstGood = findFirstGood(knownBadNode, version);
  if (firstGood === undefined) return { ...base, status: 'ok', detail: text };
  const detail = `${text} has known faults, ${showVersion(firstGood)} is required: ${knownBadNode.faults.join(', ')}`;
  return { ...base, status: 'fail', detail, fix };
}
