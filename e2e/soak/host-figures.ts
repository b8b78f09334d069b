import { readdirSync, readFileSync } from 'node:fs';
import { listHostTraces } from '@soulbox/testing';
import { countLeftovers } from '../chaos/leftovers.ts';

/** What a server holds of its host. */
export interface HostFigures {
  readonly memoryMib: number;
  readonly descriptors: number;
  /** Kernel objects of its sandboxes by kind: processes, mounts, loop devices, control groups, interfaces, tables. */
  readonly objects: Readonly<Record<string, number>>;
}

export function readMemoryMib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

export async function readFigures(server: {
  pid: number;
  instance: number;
  dataDirectory: string;
}): Promise<HostFigures> {
  return {
    memoryMib: readMemoryMib(server.pid),
    descriptors: readdirSync(`/proc/${server.pid}/fd`).length,
    objects: countLeftovers(await listHostTraces(server.instance, server.dataDirectory)),
  };
}
