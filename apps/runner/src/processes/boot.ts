import { randomBytes, randomUUID } from 'node:crypto';
import { measureOperation, phase, SoulBoxError } from '@soulbox/base';
import { createSandboxId } from '@soulbox/contract';
import { removeSandbox, bundleNameOf } from './sandbox-host.ts';
import type { SandboxHost } from './sandbox-host.ts';
import { readRootIdentity } from './sandbox-disk.ts';
import { startProcesses, waitForEnvd } from './start-processes.ts';
import type { TemplateBlueprint } from './blueprint.ts';
import type { HostRecord } from '../registry/record.ts';
import type { LiveSandbox, RecordChange } from '../registry/table.ts';

/**
 * Boots a sandbox of the template and waits until its envd answers. `own` is added to its record. After any failure
 * everything is removed again. Throws `sandbox_start_failed`.
 */
export async function bootSandbox(
  host: SandboxHost,
  { template, isolation }: Pick<TemplateBlueprint, 'template' | 'isolation'>,
  own: RecordChange = {},
): Promise<LiveSandbox> {
  const sandboxId = createSandboxId();
  // Before the slot is taken: it throws when the template was removed.
  const ground = readRootIdentity(template.rootfs);
  const record: HostRecord = {
    formatVersion: 2,
    sandboxId,
    state: 'booting',
    cause: 'request',
    stateSinceMs: 0,
    slot: host.slots.take(),
    templateId: template.templateId,
    driver: isolation,
    runtimeName: bundleNameOf(host),
    hostToken: randomBytes(32).toString('hex'),
    generation: randomUUID(),
    cpuCount: template.cpuCount,
    memoryMb: template.memoryMb,
    diskMb: template.diskMb,
    layers: [],
    disk: 'new',
    ground,
    pagesFrom: '',
    waitsForRoom: false,
    volumes: [],
    ...own,
  };
  return await measureOperation('boot', async (finish) => {
    try {
      await phase('record', async () => await host.store.write(record));
      const live = await startProcesses(host, record, template.rootfs);
      await waitForEnvd(live);
      host.logger.info({ sandboxId, templateId: template.templateId, ...finish() }, 'sandbox booted');
      return { record: { ...record, disk: 'kept' }, live };
    } catch (cause) {
      host.logger.error({ sandboxId, err: cause }, 'sandbox boot failed');
      await removeSandbox(host, record);
      // The caller may know what this host lacks. Any other error names steps and paths of the server.
      if (cause instanceof SoulBoxError && ['capability_missing', 'disk_full'].includes(cause.reason)) throw cause;
      throw new SoulBoxError(
        'sandbox_start_failed',
        'The sandbox could not be started. The server log names the step that failed.',
        {
          cause,
        },
      );
    }
  });
}
