import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import { phase } from '@soulbox/base';
import type { SandboxHost } from './sandbox-host.ts';
import type { Live, RunningSandbox } from '../registry/table.ts';

/**
 * How long a frozen sandbox may run again so that its servers accept the connections that wait for them. About 80 ms in
 * all. A server under load usually needs a few tries until nothing waits.
 */
const acceptWaitsMs = [1, 2, 4, 8, 16, 16, 16, 16];

/**
 * Cuts connections and freezes every process. First the connections of the runner and the gateway are closed. Then the
 * processes freeze, so that they open no new ones, and their connections to the outside are reset. A checkpoint made
 * afterwards holds no socket with a lost peer. Connections between the sandbox's own processes stay. Throws
 * `checkpoint_failed` and may leave the sandbox frozen.
 */
export async function freeze(
  context: {
    readonly host: Pick<SandboxHost, 'network' | 'logger'>;
    readonly cutOff: (sandboxId: string) => Promise<void>;
  },
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
 * cannot be saved. If there is no such moment, it resets what no server has accepted. Then it resets the connections to
 * the outside. Safe to repeat. Throws as `freeze` does.
 */
export async function freezeUnconnected(
  { network, logger }: Pick<SandboxHost, 'network' | 'logger'>,
  { driver, instance }: Live,
): Promise<void> {
  const { sandboxId, networkNamespace } = instance;
  await driver.freeze(instance);
  for (const waitMs of acceptWaitsMs) {
    if (!network.hasUnaccepted(networkNamespace)) break;
    await driver.thaw(instance);
    await delay(waitMs);
    await driver.freeze(instance);
  }
  if (network.hasUnaccepted(networkNamespace)) {
    const connections = network.closeUnaccepted(networkNamespace);
    logger.info({ sandboxId, connections }, 'connections reset that no server in the sandbox accepted');
  }
  // Once, because it reads all connections, and a sandbox decides how many there are.
  network.closeOutside(networkNamespace);
}
