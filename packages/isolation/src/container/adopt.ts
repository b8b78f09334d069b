import type { SandboxInstance } from '../driver.ts';
import type { Host } from './host.ts';
import { initRuns, readBootId } from '../host/init-process.ts';
import { layoutOf } from './layout.ts';
import { findRecord } from './record.ts';
import { instanceOf } from './start.ts';

/** The sandbox that an earlier server started, if its very init still runs. */
export async function adoptSandbox(
  host: Host,
  sandboxId: string,
  directory: string,
): Promise<SandboxInstance | undefined> {
  const record = await findRecord(layoutOf(host.instance, sandboxId, directory).record);
  if (record?.state !== 'running' || record.bootId !== readBootId()) return undefined;
  if (!initRuns(record)) return undefined;
  return instanceOf(sandboxId, directory, record.initPid, record.initStartTicks);
}
