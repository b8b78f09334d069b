import { setImmediate } from 'node:timers/promises';
import { phase } from '@soulbox/base';
import type { SandboxHost } from './sandbox-host.ts';
import type { RunningSandbox } from '../registry/table.ts';

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
  await phase('freeze', async () => await live.driver.freeze(live.instance));
  context.host.network.closeOutside(live.instance.networkNamespace);
}
