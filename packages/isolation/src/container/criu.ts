import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { noLimit, ownerResources, readSoftLimit, setSoftLimit } from '@soulbox/linux/processes';
import { runFolder } from '../host/names.ts';
import { readBootId } from '../host/init-process.ts';

/**
 * A CRIU of version 4.2 or later that is known to work here: earlier versions cannot save a socket on kernels from 6.16
 * on.
 */
export interface Criu {
  readonly program: string;
  /** Contains the libraries that it runs with; empty: the system's libraries. */
  readonly libraryDirectory: string;
}

/**
 * Larger files that are deleted but open make a checkpoint fail: they are copied into the saved memory, which takes
 * time.
 */
const deletedFileMaxBytes = 256 * 1024 * 1024;

/**
 * Options for both save and restore. SoulBox manages what is outside of memory and processes: groups, network, mounts.
 */
const commonOptions = [
  ...['-v1', '--no-default-config', '--manage-cgroups=ignore', '--empty-ns', 'net'],
  ...['--tcp-established', '--file-locks', '--ghost-limit', String(deletedFileMaxBytes)],
];

/**
 * The program with the libraries it needs; the caller appends arguments. Facts about the kernel are in /run, whichever
 * user it runs as.
 */
export function programCommand({ program, libraryDirectory }: Criu): readonly string[] {
  return ['env', `LD_LIBRARY_PATH=${libraryDirectory}`, 'XDG_RUNTIME_DIR=/run', program];
}

/** The command that runs CRIU with `options`. */
export function criuCommand(
  criu: Criu,
  action: 'dump' | 'restore',
  options: readonly string[],
  externals: ReadonlyMap<string, string>,
): readonly string[] {
  const mounts = [...externals].flatMap(([from, to]) => ['--external', `mnt[${from}]:${to}`]);
  return [...programCommand(criu), action, ...commonOptions, ...options, ...mounts];
}

/** Where the scripts keep CRIU's facts about this kernel; invalid after a boot. */
export function kernelFactsFile(instance: number): string {
  return join(runFolder(instance), `criu-facts-${readBootId()}`);
}

/**
 * Runs a command as user `uid` with all capabilities of this process, in setpriv's syntax. The tasks of a sandbox that
 * crun started are in a user namespace that this id created. Where root lacks CAP_SYS_RESOURCE, only its creator may
 * read and set their limits.
 */
export function asNamespaceOwner(uid: number): readonly string[] {
  const capabilities = readCapabilities()
    .map((number) => `+cap_${number}`)
    .join(',');
  const ids = ['--reuid', String(uid), '--regid', String(uid), '--clear-groups'];
  return ['setpriv', ...ids, '--inh-caps', capabilities, '--ambient-caps', capabilities];
}

/**
 * Gives a process, which will run a restore, half of this process's limits for the resources that the kernel counts per
 * owner of a user namespace. A user namespace may never use more than its creator could at its creation, and CRIU creates
 * it as root. So the other half is left to root's own processes.
 */
export function leaveRootHalf(pid: number): void {
  for (const resource of Object.values(ownerResources)) {
    const limit = readSoftLimit(0, resource);
    if (limit !== noLimit) setSoftLimit(pid, resource, limit / 2n);
  }
}

/** Numbers of the capabilities that this process may use (proc(5), CapPrm). */
function readCapabilities(): number[] {
  const [, mask = '0'] = /^CapPrm:\s+([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
  const bits = BigInt(`0x${mask}`).toString(2).split('').reverse();
  return bits.flatMap((bit, number) => (bit === '1' ? [number] : []));
}
