import { writeFile } from 'node:fs/promises';
import { SoulBoxError } from '@soulbox/base';
import { makeGroupMovesFast, prepareCgroups, readHostCgroups } from '@soulbox/isolation';
import type { HostCgroups } from '@soulbox/isolation';
import { noteHostChanges } from './changes/host-changes.ts';
import type { HostChanges } from './changes/host-changes.ts';
import type { Finding, Fix, HostSubject } from './finding.ts';
import { installMissing } from './install-missing.ts';
import { runChecks } from './run-checks.ts';
import { readSetting, readSystemFamily } from './system.ts';
import { sysctlPath, sysctls } from './sysctls.ts';

export interface PrepareOptions extends HostSubject {
  /** Whether missing packages may be installed. Happens on Debian and Ubuntu only. */
  readonly install: boolean;
  readonly onProgress: (step: string) => void;
  /** The file that records changes for a later undo. Default: /var/lib/soulbox-host/changes.json. */
  readonly changesFile?: string;
}

/**
 * Prepares this host to run sandboxes: packages (with `install`, on Debian and Ubuntu), kernel settings, control
 * groups. Everything except the packages lasts until the next boot. Takes about 100 ms if nothing is missing.
 *
 * Returns the remaining findings; none of them prevents a server from starting. Throws `host_not_ready` with all other
 * failures and their fixes.
 */
export async function prepareHost(options: PrepareOptions): Promise<Finding[]> {
  let findings = await runChecks(options);
  const wrong = (finding: Finding): boolean => finding.status !== 'ok';
  if (!findings.some((finding) => wrong(finding) && isMendable(finding.id))) return refuseFailures(findings);
  if (process.getuid?.() !== 0) return refuseFailures(findings);

  const missing = findings.filter(wrong).map((finding) => finding.id);
  if (options.install && (await readSystemFamily()) === 'debian') {
    const packages = await installMissing(missing, options.onProgress);
    if (packages.length > 0) await note({ packages }, options);
  }
  if (missing.some((id) => id.startsWith('sysctl-'))) {
    options.onProgress('setting kernel parameters');
    await raiseSysctls(findings, options);
  }
  const groupsBefore = readHostCgroups();
  if (missing.includes('cgroups')) {
    options.onProgress('arranging control groups');
    // The second run of the checks reports what is still wrong.
    await prepareCgroups().catch(() => undefined);
  }
  if (missing.includes('cgroup-moves')) await makeGroupMovesFast().catch(() => undefined);
  await noteCgroupChanges(groupsBefore, options);
  findings = await runChecks(options);
  return refuseFailures(findings);
}

const isMendable = (id: string): boolean =>
  id.startsWith('program-') ||
  id.startsWith('sysctl-') ||
  ['cgroups', 'cgroup-moves', 'localhost-names', 'criu'].includes(id);

/** A failure to record changes (full disk, damaged file) does not prevent a server from starting. */
async function note(changes: Partial<HostChanges>, { changesFile, onProgress }: PrepareOptions): Promise<void> {
  await noteHostChanges(changes, changesFile).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    onProgress(`continuing without a record for "soulbox uninstall": ${why}`);
  });
}

async function noteCgroupChanges(before: HostCgroups, options: PrepareOptions): Promise<void> {
  const now = readHostCgroups();
  const cgroupMounts = now.mounts.filter((mount) => !before.mounts.includes(mount));
  const cgroupControllers = now.controllers.filter((name) => !before.controllers.includes(name));
  const fastGroupMoves = now.fastMoves && !before.fastMoves;
  if (cgroupMounts.length + cgroupControllers.length > 0 || fastGroupMoves)
    await note({ cgroupMounts, cgroupControllers, fastGroupMoves }, options);
}

async function raiseSysctls(findings: readonly Finding[], options: PrepareOptions): Promise<void> {
  for (const { name, atLeast } of sysctls) {
    const finding = findings.find((candidate) => candidate.title === name);
    if (finding === undefined || finding.status === 'ok') continue;
    const before = await readSetting(sysctlPath(name));
    if (before === undefined) continue;
    // Recorded first. A crash in between leaves a record of a change that was not made, and undoing that has no effect.
    await note({ sysctls: { [name]: { before, set: String(atLeast) } } }, options);
    // Fails in a container without permission. The checks report that afterwards.
    await writeFile(sysctlPath(name), String(atLeast)).catch(() => undefined);
  }
}

async function refuseFailures(findings: Finding[]): Promise<Finding[]> {
  const failures = findings.filter((finding) => finding.status === 'fail' && finding.startsAnyway !== true);
  if (failures.length === 0) return findings;
  const family = await readSystemFamily();
  const lines = failures.map(
    (finding) => `  ${finding.title}: ${finding.detail}\n    fix: ${chooseFix(finding.fix, family)}`,
  );
  throw new SoulBoxError('host_not_ready', `This host cannot run sandboxes yet:\n${lines.join('\n')}`);
}

/** The fix for this system. On an unknown system it is Debian's, which names the package. */
export function chooseFix(fix: Fix | undefined, family: keyof Fix | 'other'): string {
  if (fix === undefined) return 'see `soulbox doctor`';
  return family === 'other' ? `${fix.debian} (or what your system has for it)` : fix[family];
}
