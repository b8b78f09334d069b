import { listHostTraces, serverDescriptors, serverMemoryMib } from '@soulbox/testing';
import { countLeftovers } from '../chaos/leftovers.ts';

/** The resources of the host that a server uses. */
export interface HostFigures {
  readonly memoryMib: number;
  readonly descriptors: number;
  /** Kernel objects of its sandboxes by kind: processes, mounts, loop devices, control groups, interfaces, tables. */
  readonly objects: Readonly<Record<string, number>>;
}

export async function readFigures(server: {
  pid: number;
  instance: number;
  dataDirectory: string;
}): Promise<HostFigures> {
  return {
    memoryMib: serverMemoryMib(server.pid),
    descriptors: serverDescriptors(server.pid),
    objects: countLeftovers(await listHostTraces(server.instance, server.dataDirectory)),
  };
}
