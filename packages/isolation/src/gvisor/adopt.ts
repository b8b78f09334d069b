import { findRecord } from '../container/record.ts';
import { instanceOf } from '../container/start.ts';
import type { SandboxInstance } from '../driver.ts';
import { readBootId } from '../host/init-process.ts';
import { isSandboxAlive } from './alive.ts';
import type { Host } from './host.ts';
import { layoutOf } from './layout.ts';

/** The sandbox that an earlier server started, if its very kernel still runs. */
export async function adoptSandbox(
  host: Host,
  sandboxId: string,
  directory: string,
): Promise<SandboxInstance | undefined> {
  const record = await findRecord(layoutOf(host.instance, sandboxId, directory).record);
  if (record?.state !== 'running' || record.bootId !== readBootId()) return undefined;
  const { initPid, initStartTicks } = record;
  const instance = instanceOf(sandboxId, directory, initPid, initStartTicks);
  return isSandboxAlive(host, instance) ? instance : undefined;
}
