import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { askRegistry, judgeAdvisories, parseExceptions } from './dependency-advisories.ts';
import { findLockFaults } from './lock-faults.ts';
import type { PackageLock } from './lock-faults.ts';

/**
 * With `--offline`, only what the lock file itself tells. A registry without advisories is no fault of the packages: that
 * is printed, not hidden, and with `--required` it is a fault. The other options are for tests.
 */
const { values } = parseArgs({
  options: {
    offline: { type: 'boolean', default: false },
    required: { type: 'boolean', default: false },
    root: { type: 'string', default: join(import.meta.dirname, '..') },
    exceptions: { type: 'string', default: join(import.meta.dirname, 'advisory-exceptions.json') },
    'timeout-ms': { type: 'string', default: '30000' },
  },
});

const lock = JSON.parse(readFileSync(join(values.root, 'package-lock.json'), 'utf8')) as PackageLock;
const faults = findLockFaults(lock);
if (!values.offline) faults.push(...askAboutAdvisories());
for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exit(1);
console.log('No faults.');

function askAboutAdvisories(): readonly string[] {
  const exceptions = parseExceptions(readFileSync(values.exceptions, 'utf8'));
  const answer = askRegistry(values.root, Number(values['timeout-ms']));
  if ('why' in answer) {
    const text = `SKIPPED: the registry gives no advisories (${answer.why}). Run this with another one.`;
    if (values.required) return [text];
    console.log(text);
    return [];
  }
  const judgement = judgeAdvisories(answer.vulnerabilities, exceptions, Date.now());
  for (const note of judgement.notes) console.log(note);
  return judgement.faults;
}
