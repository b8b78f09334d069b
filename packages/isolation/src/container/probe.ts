import { existsSync } from 'node:fs';
import type { DriverFinding } from '../driver.ts';
import type { Version } from '../host/findings.ts';
import { finding, presenceFinding, toolFinding } from '../host/findings.ts';
import type { Criu } from './criu.ts';
import { probeRoot } from '../root/probe-root.ts';

/** `process.scheduler` of the OCI configuration came with crun 1.11. */
const crunMin: Version = [1, 11];

/**
 * Looks at kernel, tools and control groups without changing anything. That CRIU works is known by whoever passed it in
 * (`findCriu` of packages/host makes it save and restore a process); here it must still be there.
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
