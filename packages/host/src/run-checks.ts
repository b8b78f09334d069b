import { checkCgroupMoves } from './checks/cgroup-moves.ts';
import { checkCgroups } from './checks/cgroups.ts';
import { checkClosedInstallation } from './checks/closed-installation.ts';
import { checkCriu } from './checks/criu.ts';
import { checkDiskBudget } from './checks/disk-budget.ts';
import { checkDiskEncryption } from './checks/disk-encryption.ts';
import { checkDiskGuarantees } from './checks/disk-guarantees.ts';
import { checkDiskSpace } from './checks/disk-space.ts';
import { checkKernelVersion } from './checks/kernel-version.ts';
import { checkLocalhostNames } from './checks/localhost-names.ts';
import { checkLoopDevices } from './checks/loop-devices.ts';
import { checkNetwork } from './checks/network.ts';
import { checkNodeVersion } from './checks/node-version.ts';
import { checkOpenFiles } from './checks/open-files.ts';
import { checkOtherFirewalls } from './checks/other-firewalls.ts';
import { checkOverlay } from './checks/overlay.ts';
import { checkPrograms } from './checks/programs.ts';
import { checkRoot } from './checks/root.ts';
import { checkSeccomp } from './checks/seccomp.ts';
import { checkSysctls } from './checks/sysctls.ts';
import { checkUnreadableRecords } from './checks/unreadable-records.ts';
import { checkUserNamespaces } from './checks/user-namespaces.ts';
import { checkVirtualization } from './checks/virtualization.ts';
import { checkVolumes } from './checks/volumes.ts';
import type { Check, Finding, HostSubject } from './finding.ts';

/** In the order that suits a reader best. */
const checks: readonly Check[] = [
  checkRoot,
  checkKernelVersion,
  checkCgroups,
  checkCgroupMoves,
  checkUserNamespaces,
  checkOverlay,
  checkLoopDevices,
  checkVolumes,
  checkClosedInstallation,
  checkNetwork,
  checkSeccomp,
  checkPrograms,
  checkSysctls,
  checkOtherFirewalls,
  checkLocalhostNames,
  checkDiskSpace,
  checkDiskBudget,
  checkDiskGuarantees,
  checkDiskEncryption,
  checkUnreadableRecords,
  checkOpenFiles,
  checkNodeVersion,
  checkCriu,
  checkVirtualization,
];

/** Runs all checks and changes nothing. Takes about 100 ms. */
export async function runChecks(subject: HostSubject): Promise<Finding[]> {
  return (await Promise.all(checks.map(async (check) => await check(subject)))).flat();
}
