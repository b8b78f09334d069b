import { isInstanceBusy, listInstanceTraces, removeInstanceTraces } from '@soulbox/isolation';
import { hasNetwork, removeNetwork } from '@soulbox/network';
import { dropDeadClaim, findInstanceOwner, wasInstanceOf } from './instance-lock.ts';

/** Instance numbers go from 0 to 14. */
const instanceCount = 15;

/** What one instance number has on this host. */
export interface HostInstance {
  readonly instance: number;
  /** Pid of the server that runs. */
  readonly server: number | undefined;
  /** Processes of it run, with a server or without. */
  readonly isBusy: boolean;
  readonly traces: readonly string[];
}

/** Every instance that has anything on this host. */
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

/** Removes what an instance without processes has: network, control groups, its folder in /run. Gives what is still there. */
export async function removeHostInstance(instance: number): Promise<readonly string[]> {
  await removeNetwork(instance);
  await dropDeadClaim(instance);
  await removeInstanceTraces(instance);
  return await listInstanceTraces(instance);
}

/** The same for instances whose server, that of this data folder, died without leaving anything that runs. */
export async function removeDeadInstances(dataDirectory: string): Promise<void> {
  for (const { instance, server, isBusy } of await listHostInstances())
    if (server === undefined && !isBusy && (await wasInstanceOf(dataDirectory, instance)))
      await removeHostInstance(instance);
}
