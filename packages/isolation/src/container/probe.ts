import { existsSync } from 'node:fs';
import type { DriverFinding } from '../driver.ts';
import type { Version } from '../host/findings.ts';
import { finding, presenceFinding, toolFinding } from '../host/findings.ts';
import type { Criu } from './criu.ts';
import { probeRoot } from '../root/probe-root.ts';

/** crun supports `process.scheduler` of the OCI configuration since 1.11. */
const crunMin: Version = [1, 11];

/**
 * Checks kernel, tools and control groups without changing anything. The caller already knows that the passed CRIU
 * works (`findCriu` of packages/host makes it save and restore a process); here only its presence is checked.
 */
export async function probeHost(criu: Criu | undefined): Promise<readonly DriverFinding[]> {
  return [
    ...(await probeRoot()),
    await toolFinding('crun', crunMin),
    await presenceFinding('setpriv', ['--version']),
    finding('seccomp', existsSync('/proc/sys/kernel/seccomp/actions_avail'), 'seccomp filters of the kernel'),
    ...(criu === undefined ? [] : [finding('criu', existsSync(criu.program), criu.program)]),
  ];
}
