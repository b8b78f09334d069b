import type { SandboxInstance } from '../driver.ts';
import type { Host } from './host.ts';
import { initRuns, readBootId } from '../host/init-process.ts';
import { claimImage } from '../root/claim-image.ts';
import { layoutOf } from './layout.ts';
import { findRecord } from './record.ts';
import { instanceOf } from './start.ts';

/** The sandbox that an earlier server started, if its very init still runs. */
export async function adoptSandbox(
  host: Host,
  sandboxId: string,
  directory: string,
): Promise<SandboxInstance | undefined> {
  const layout = layoutOf(host.instance, sandboxId, directory);
  await claimImage(layout, sandboxId, directory);
  const record = await findRecord(layout.record);
  if (record?.state !== 'running' || record.bootId !== readBootId()) return undefined;
  if (!initRuns(record)) return undefined;
  return instanceOf(sandboxId, directory, record.initPid, record.initStartTicks);
}
