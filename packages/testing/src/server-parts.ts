import { readdirSync, readFileSync } from 'node:fs';

/** One process of a server. */
export interface ServerPart {
  readonly pid: number;
  /** `supervisor`, or the app of its program: `gateway`, `control`, `egress`, `runner`. */
  readonly name: string;
}

/**
 * Lists the supervisor, whose pid is that of the server, and the running parts that it started. Tools that a part runs
 * are not included.
 */
export function listServerParts(pid: number): ServerPart[] {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
    .flatMap((name): ServerPart[] => {
      const program = /\/apps\/([\w-]+)\/src\/(?:[\w-]+\/)*main\.ts\0?$/.exec(readText(`/proc/${name}/cmdline`))?.[1];
      return program === undefined ? [] : [{ pid: Number(name), name: program }];
    });
  return [{ pid, name: 'supervisor' }, ...children];
}

/** The pid of the part, if it runs. */
export function findServerPart(pid: number, name: string): number | undefined {
  return listServerParts(pid).find((part) => part.name === name)?.pid;
}

/** The memory of all processes of the server, in MiB. */
export function serverMemoryMib(pid: number): number {
  return sumOver(pid, (part) => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readText(`/proc/${part}/status`))?.[1] ?? 0) / 1024);
}

/** The open descriptors of all processes of the server, or of those whose name satisfies `isMeant`. */
export function serverDescriptors(pid: number, isMeant: (name: string) => boolean = () => true): number {
  return sumOver(pid, (part, name) => {
    if (!isMeant(name)) return 0;
    try {
      return readdirSync(`/proc/${part}/fd`).length;
    } catch {
      return 0;
    }
  });
}

function sumOver(pid: number, read: (pid: number, name: string) => number): number {
  return listServerParts(pid).reduce((sum, part) => sum + read(part.pid, part.name), 0);
}

function parentOf(name: string): number {
  const stat = readText(`/proc/${name}/stat`);
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/** Returns an empty text for a process that ended meanwhile. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
