import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findLockFaults } from './lock-faults.ts';
import type { PackageLock } from './lock-faults.ts';

/** The part of npm's answer that is used (npm audit --json). */
interface NpmAudit {
  readonly error?: { readonly summary?: string; readonly detail?: string };
  readonly message?: string;
  readonly vulnerabilities?: Readonly<Record<string, { readonly severity: string; readonly range: string }>>;
}

const repository = join(import.meta.dirname, '..');
const serious = new Set(['high', 'critical']);

/** With `--offline`, only what the lock file itself tells. */
const lock = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')) as PackageLock;
const faults = findLockFaults(lock);
if (!process.argv.includes('--offline')) faults.push(...askRegistry());
for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exit(1);
console.log('The lock file has no faults.');

/** Advisories about what is shipped. A registry without them is no fault of the packages: that is printed, not hidden. */
function askRegistry(): string[] {
  const options = { cwd: repository, encoding: 'utf8', timeout: 60_000, maxBuffer: 64 * 1024 * 1024 } as const;
  const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json', '--fetch-retries=0'], options);
  const answer = parse(stdout);
  if (answer.vulnerabilities === undefined) {
    const { message, error } = answer;
    const why = [message, error?.summary, error?.detail].find((text) => text !== undefined && text !== '');
    console.log(
      `SKIPPED: the registry gives no advisories (${why ?? 'npm does not say why'}). Run this with another one.`,
    );
    return [];
  }
  const all = Object.entries(answer.vulnerabilities);
  console.log(`Advisories for ${all.length} packages that are shipped.`);
  return all
    .filter(([, { severity }]) => serious.has(severity))
    .map(([name, { severity, range }]) => `${name} ${range}: ${severity}`);
}

function parse(text: string): NpmAudit {
  try {
    return JSON.parse(text) as NpmAudit;
  } catch {
    return {};
  }
}
