import { isInstanceBusy, listInstanceTraces, removeInstanceTraces } from '@soulbox/isolation';
import { hasNetwork, removeNetwork } from '@soulbox/network';
import { dropDeadClaim, findInstanceOwner, wasInstanceOf } from './instance-lock.ts';

/** Instance numbers are 0 to 14. */
const instanceCount = 15;

/** What exists on this host for one instance number. */
export interface HostInstance {
  readonly instance: number;
  /** Pid of the running server. */
  readonly server: number | undefined;
  /** True when it has running processes, with or without a server. */
  readonly isBusy: boolean;
  readonly traces: readonly string[];
}

/** All instances that have any trace on this host. */
export async function listHostInstances(): Promise<HostInstance[]> {
  const all = await Promise.all(
    Array.from({ length: instanceCount }, async (_, instance) => {
      const server = (await findInstanceOwner(instance))?.pid;
      const network = (await hasNetwork(instance)) ? [`nft table soulbox_${instance}`] : [];
      const traces = [...(await listInstanceTraces(instance)), ...network];
      return { instance, server, isBusy: await isInstanceBusy(instance), traces };
    }),
  );
  return all.filter(({ server, isBusy, traces }) => server !== undefined || isBusy || traces.length > 0);
}

/**
 * Removes what an instance without processes has left: network, control groups and its folder in /run. Returns what
 * remains.
 */
export async function removeHostInstance(instance: number): Promise<readonly string[]> {
  await removeNetwork(instance);
  await dropDeadClaim(instance);
  await removeInstanceTraces(instance);
  return await listInstanceTraces(instance);
}

/** The same for instances of this data folder whose server has died and that have no running processes. */
export async function removeDeadInstances(dataDirectory: string): Promise<void> {
  for (const { instance, server, isBusy } of await listHostInstances())
    if (server === undefined && !isBusy && (await wasInstanceOf(dataDirectory, instance)))
      await removeHostInstance(instance);
}
