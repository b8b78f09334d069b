import type { SandboxInstance } from '../driver.ts';
import { readBootId } from '../host/init-process.ts';
import { claimImage } from '../root/claim-image.ts';
import { instanceOf } from './instance-of.ts';
import type { OciRuntime } from './oci-runtime.ts';
import { findRecord } from './record.ts';

/** The sandbox that an earlier server started, or began to start, if the same init still runs. */
export async function adoptSandbox(
  runtime: OciRuntime,
  sandboxId: string,
  directory: string,
): Promise<SandboxInstance | undefined> {
  const layout = runtime.layoutOf(sandboxId, directory);
  await claimImage(layout, sandboxId, directory);
  const record = await findRecord(layout.record);
  if (record?.state === 'starting') return await runtime.adoptStarting?.(sandboxId, directory);
  if (record?.state !== 'running' || record.bootId !== readBootId()) return undefined;
  const instance = instanceOf(sandboxId, directory, record);
  return runtime.isAlive(instance) ? instance : undefined;
}
