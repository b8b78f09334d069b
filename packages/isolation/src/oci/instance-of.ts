import type { SandboxInstance } from '../driver.ts';

type Init = Pick<SandboxInstance, 'initPid' | 'initStartTicks'>;

export function instanceOf(sandboxId: string, directory: string, { initPid, initStartTicks }: Init): SandboxInstance {
  return { sandboxId, directory, initPid, initStartTicks, networkNamespace: `/proc/${initPid}/ns/net` };
}
