import { setImmediate } from 'node:timers/promises';
import type { SandboxHost } from './sandbox-host.ts';
import type { RunningSandbox } from '../registry/table.ts';

/**
 * Everyone out, then every process stops where it stands: connections of ours and of the gateway first, then, with nobody
 * left to open new ones, those to the outside. What is saved afterwards holds no socket whose other end is gone without
 * knowing it; connections between the sandbox's own processes stay. Throws `checkpoint_failed` and may leave it frozen.
 */
export async function freeze(
  context: { readonly host: Pick<SandboxHost, 'network'>; readonly cutOff: (sandboxId: string) => void },
  { record, live }: RunningSandbox,
): Promise<void> {
  context.cutOff(record.sandboxId);
  live.envd.close();
  // Sockets are closed at the end of this turn: envd hears of it before it stops.
  await setImmediate();
  await live.driver.freeze(live.instance);
  const { address } = live.instance;
  if (address.kind === 'namespace') context.host.network.closeOutside(address.path);
}
