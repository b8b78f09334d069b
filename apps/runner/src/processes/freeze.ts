import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import { phase } from '@soulbox/base';
import type { SandboxHost } from './sandbox-host.ts';
import type { Live, RunningSandbox } from '../registry/table.ts';

/**
 * How long a frozen sandbox may run again so that its servers accept the connections that wait for them. About 80 ms in
 * all: a server under load is rarely found with none waiting at the first freeze, and usually within a few.
 */
const acceptWaitsMs = [1, 2, 4, 8, 16, 16, 16, 16];

/**
 * Cuts connections and freezes every process. First the connections of the runner and the gateway are closed. Then the
 * processes freeze, so that they open no new ones, and their connections to the outside are reset. A checkpoint made
 * afterwards holds no socket with a lost peer. Connections between the sandbox's own processes stay. Throws
 * `checkpoint_failed` and may leave the sandbox frozen.
 */
export async function freeze(
  context: { readonly host: Pick<SandboxHost, 'network'>; readonly cutOff: (sandboxId: string) => Promise<void> },
  { record, live }: RunningSandbox,
): Promise<void> {
  const isCut = context.cutOff(record.sandboxId);
  live.envd.close();
  await isCut;
  // Sockets are closed at the end of this turn of the event loop. envd learns of it before it freezes.
  await setImmediate();
  await phase('freeze', async () => await freezeUnconnected(context.host, live));
}

/**
 * Freezes every process at a moment in which no server inside has a connection to accept, because such a connection
 * cannot be saved. If there is no such moment, it resets what no server has accepted. Connections to the outside are
 * reset in any case. Safe to repeat. Throws as `freeze` does.
 */
export async function freezeUnconnected(
  { network }: Pick<SandboxHost, 'network'>,
  { driver, instance }: Live,
): Promise<void> {
  const { networkNamespace } = instance;
  const stop = async (): Promise<boolean> => {
    await driver.freeze(instance);
    network.closeOutside(networkNamespace);
    return !network.hasUnaccepted(networkNamespace);
  };
  if (await stop()) return;
  for (const waitMs of acceptWaitsMs) {
    await driver.thaw(instance);
    await delay(waitMs);
    if (await stop()) return;
  }
  network.closeUnaccepted(networkNamespace);
}
