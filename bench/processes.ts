import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, which Linux fixes at 100 for user space on every architecture that Node supports. */
const ticksPerSecond = 100;

/** Host pids of every sandbox of an instance, by sandbox id: all processes in its control group. */
export function findSandboxProcesses(instance: number): Map<string, number[]> {
  const found = new Map<string, number[]>();
  const inGroup = new RegExp(`/soulbox-${instance}/([a-z0-9]+)`);
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const sandboxId = inGroup.exec(readText(`/proc/${name}/cgroup`))?.[1];
    if (sandboxId === undefined) continue;
    found.set(sandboxId, [...(found.get(sandboxId) ?? []), Number(name)]);
  }
  return found;
}

/** The processes of a server by pid: the name of the part that each runs, such as `runner`. */
export function findParts(supervisor: number): Map<number, string> {
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(Number(name)) === supervisor);
  const named = children.map((pid) => [Number(pid), partOf(Number(pid))] as const);
  return new Map([[supervisor, 'supervisor'], ...named]);
}

function partOf(pid: number): string {
  const command = readText(`/proc/${pid}/cmdline`).split('\0');
  return /\/apps\/([a-z-]+)\//.exec(command.join(' '))?.[1] ?? command[0] ?? '';
}

/** MiB that would be free if only this process ended: pages that it shares with no other process. */
export function privateMb(pid: number): number {
  const text = readText(`/proc/${pid}/smaps_rollup`);
  const kib = [...text.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm)].map((match) => Number(match[1]));
  return kib.reduce((sum, part) => sum + part, 0) / 1024;
}

/** CPU time that the process has used, without its waited-for children. */
export function cpuSeconds(pid: number): number {
  const fields = statFields(pid);
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / ticksPerSecond;
}

function parentOf(pid: number): number {
  return Number(statFields(pid)[1] ?? 0);
}

/** Those of /proc/PID/stat from the state on, which has the index 0. */
function statFields(pid: number): string[] {
  const stat = readText(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Empty for a process that ended meanwhile. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
