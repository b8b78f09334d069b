import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runFolder } from '../host/names.ts';
import { readBootId } from '../host/init-process.ts';

/** A CRIU of 4.2 or later that is known to work here: earlier ones cannot save a socket on kernels from 6.16 on. */
export interface Criu {
  readonly program: string;
  /** Holds the libraries it runs on; empty: the system's. */
  readonly libraryDirectory: string;
}

/** Larger files that are deleted but open make a checkpoint fail: they are copied into the saved memory, which takes its time. */
const deletedFileMaxBytes = 256 * 1024 * 1024;

/** Options that save and restore have in common. What is outside of memory and processes is ours: groups, network, mounts. */
const commonOptions = [
  ...['-v1', '--no-default-config', '--manage-cgroups=ignore', '--empty-ns', 'net'],
  ...['--tcp-established', '--file-locks', '--ghost-limit', String(deletedFileMaxBytes)],
];

/** The program with the libraries it needs; arguments follow. Facts about the kernel are in /run, whoever it runs as. */
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

/** Where the scripts keep what CRIU has learned about this kernel; worth nothing after a boot. */
export function kernelFactsFile(instance: number): string {
  return join(runFolder(instance), `criu-facts-${readBootId()}`);
}

/**
 * Runs a command as user `uid` with all capabilities of this process, in setpriv's words. The tasks of a sandbox that crun
 * started are children of a user namespace that this very id made, and only its maker may read and set their limits where
 * root lacks CAP_SYS_RESOURCE.
 */
export function asNamespaceOwner(uid: number): readonly string[] {
  const capabilities = readCapabilities()
    .map((number) => `+cap_${number}`)
    .join(',');
  const ids = ['--reuid', String(uid), '--regid', String(uid), '--clear-groups'];
  return ['setpriv', ...ids, '--inh-caps', capabilities, '--ambient-caps', capabilities];
}

/** What the kernel counts by owner of a user namespace: its name in /proc/PID/limits, and prlimit's option. */
const countedByOwner = [
  ['Max pending signals', 'sigpending'],
  ['Max msgqueue size', 'msgqueue'],
  ['Max locked memory', 'memlock'],
] as const;

/**
 * Runs a restore with half of this process's limits for what is counted by owner. A user namespace may never use more than its
 * maker might when it was made, and CRIU makes it as root: so the other half is left to root's own processes.
 */
export function leavingRootHalf(): readonly string[] {
  const limits = readFileSync('/proc/self/limits', 'latin1');
  const options = countedByOwner.flatMap(([name, option]) => {
    const [, soft] = new RegExp(`^${name} +(\\d+)`, 'm').exec(limits) ?? [];
    return soft === undefined ? [] : [`--${option}=${Math.floor(Number(soft) / 2)}:`];
  });
  return ['prlimit', ...options];
}

/** Numbers of the capabilities this process may use (proc(5), CapPrm). */
function readCapabilities(): number[] {
  const [, mask = '0'] = /^CapPrm:\s+([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
  const bits = BigInt(`0x${mask}`).toString(2).split('').reverse();
  return bits.flatMap((bit, number) => (bit === '1' ? [number] : []));
}
