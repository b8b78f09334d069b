import { writeFile } from 'node:fs/promises';
import { SoulBoxError } from '@soulbox/base';
import { prepareCgroups } from '@soulbox/isolation';
import { locateCriu } from './criu/find-criu.ts';
import { installCriu } from './criu/install-criu.ts';
import type { Finding, Fix, HostSubject } from './finding.ts';
import { installPackages } from './install-packages.ts';
import { programs } from './programs.ts';
import { runChecks } from './run-checks.ts';
import { readSystemFamily } from './system.ts';
import { sysctlPath, sysctls } from './sysctls.ts';

export interface PrepareOptions extends HostSubject {
  /** Whether missing packages may be installed. Only ever done on Debian and Ubuntu. */
  readonly install: boolean;
  readonly onProgress: (step: string) => void;
}

/**
 * Makes this host fit to run sandboxes: packages (with `install`, on Debian and Ubuntu), kernel settings, control groups.
 * All but the packages lasts until the next boot. Takes about 100 ms when everything is there.
 *
 * Gives the findings that are left, none of them a failure; throws `host_not_ready` with all failures and their fixes.
 */
export async function prepareHost(options: PrepareOptions): Promise<Finding[]> {
  let findings = await runChecks(options);
  const wrong = (finding: Finding): boolean => finding.status !== 'ok';
  if (!findings.some((finding) => wrong(finding) && isMendable(finding.id))) return refuseFailures(findings);
  if (process.getuid?.() !== 0) return refuseFailures(findings);

  const missing = findings.filter(wrong).map((finding) => finding.id);
  if (options.install && (await readSystemFamily()) === 'debian') {
    const names = packagesFor(missing);
    if (names.length > 0) await installPackages(names, options.onProgress);
    if (missing.includes('criu')) await offerCriu(options.onProgress);
  }
  if (missing.some((id) => id.startsWith('sysctl-'))) {
    options.onProgress('setting kernel parameters');
    await raiseSysctls(findings);
  }
  if (missing.includes('cgroups')) {
    options.onProgress('arranging control groups');
    // What is still wrong afterwards is reported by the second look.
    await prepareCgroups().catch(() => undefined);
  }
  findings = await runChecks(options);
  return refuseFailures(findings);
}

const idOf = (name: string): string => `program-${name.replace('.', '-')}`;
const isMendable = (id: string): boolean =>
  id.startsWith('program-') || id.startsWith('sysctl-') || ['cgroups', 'localhost-names', 'criu'].includes(id);

function packagesFor(missing: readonly string[]): string[] {
  const names = programs.filter(({ name }) => missing.includes(idOf(name))).map((program) => program.package.debian);
  if (missing.includes('localhost-names')) names.push('libnss-myhostname');
  return [...new Set(names)];
}

/** Without CRIU all but pausing works, so a host without a network is no failure. */
async function offerCriu(onProgress: (step: string) => void): Promise<void> {
  // One that is there and fails its trial would do no better when fetched again.
  if ((await locateCriu()) !== undefined) return;
  await installCriu(onProgress).catch((error: unknown) => {
    onProgress(`CRIU could not be installed: ${error instanceof Error ? error.message : String(error)}`);
  });
}

async function raiseSysctls(findings: readonly Finding[]): Promise<void> {
  for (const { name, atLeast } of sysctls) {
    const finding = findings.find((candidate) => candidate.title === name);
    if (finding === undefined || finding.status === 'ok') continue;
    // A container without the right to it: the check says so afterwards.
    await writeFile(sysctlPath(name), String(atLeast)).catch(() => undefined);
  }
}

async function refuseFailures(findings: Finding[]): Promise<Finding[]> {
  const failures = findings.filter((finding) => finding.status === 'fail');
  if (failures.length === 0) return findings;
  const family = await readSystemFamily();
  const lines = failures.map(
    (finding) => `  ${finding.title}: ${finding.detail}\n    fix: ${chooseFix(finding.fix, family)}`,
  );
  throw new SoulBoxError('host_not_ready', `This host cannot run sandboxes yet:\n${lines.join('\n')}`);
}

/** The advice for this system; on an unknown one Debian's, which names the package. */
export function chooseFix(fix: Fix | undefined, family: keyof Fix | 'other'): string {
  if (fix === undefined) return 'see `soulbox doctor`';
  return family === 'other' ? `${fix.debian} (or what your system has for it)` : fix[family];
}
