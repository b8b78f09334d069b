import { openNamespace } from '@soulbox/network';
import type { TemplateStore } from '@soulbox/templates';
import type { SandboxHost } from './boot.ts';
import { liveSandbox, removeSandbox } from './boot.ts';
import { survivesRestart } from './lifecycle.ts';
import type { Pool } from './pool.ts';
import type { SandboxRecord } from './record.ts';
import type { LiveSandbox, SandboxTable } from './table.ts';

export interface Recovery {
  /** Tenants' sandboxes that go on. */
  readonly adopted: number;
  /** Warm spares that go on. */
  readonly spares: number;
  /** Half-made, half-ended, dead and stray ones that were removed. */
  readonly removed: number;
}

/**
 * What a new server does first: takes over every sandbox that runs, and removes all that an earlier one left in the middle
 * of something, including kernel objects that no record mentions.
 */
export async function recoverSandboxes(
  host: SandboxHost,
  table: SandboxTable,
  pool: Pool,
  templates: TemplateStore,
): Promise<Recovery> {
  const { records, strays } = await host.store.load();
  let adopted = 0;
  let spares = 0;
  const doomed: SandboxRecord[] = [];
  for (const record of records) {
    const fresh = host.slots.claim(record.slot);
    const sandbox = fresh && survivesRestart(record.state) ? await adopt(host, record) : undefined;
    if (sandbox === undefined) {
      doomed.push(record);
      continue;
    }
    if (record.state === 'running') {
      // A no-op, unless the packet filter had to be made anew: then the sandbox was closed until now.
      await host.network.setPolicy(record.slot, record.tenant?.network ?? {});
      table.add(sandbox);
      adopted++;
      continue;
    }
    const template = await templates.find(record.templateId);
    if (template !== undefined && record.runtimeDirectory === host.runtime.directory) {
      table.add(sandbox);
      pool.put(template, sandbox);
      spares++;
    } else {
      sandbox.namespace.close();
      doomed.push(record);
    }
  }
  for (const record of doomed) await removeSandbox(host, record);
  const removedStrays = await removeStrays(host, table, strays);
  return { adopted, spares, removed: doomed.length + removedStrays };
}

async function adopt(host: SandboxHost, record: SandboxRecord): Promise<LiveSandbox | undefined> {
  const instance = await host.driver.adopt(record.sandboxId, host.store.directoryOf(record.sandboxId));
  if (instance?.address.kind !== 'namespace') return undefined;
  const sandbox = liveSandbox(record, instance, openNamespace(instance.address.path));
  if (record.tenant === undefined || Date.now() < record.tenant.endAtMs) {
    if (!(await sandbox.envd.isHealthy())) host.logger.warn({ sandboxId: record.sandboxId }, 'adopted sandbox is slow');
  }
  return sandbox;
}

/** Folders without a record, and traces in the kernel without a folder. */
async function removeStrays(host: SandboxHost, table: SandboxTable, strays: readonly string[]): Promise<number> {
  const traces = await host.driver.listTraces();
  const unknown = new Set([...strays, ...traces].filter((sandboxId) => table.find(sandboxId) === undefined));
  for (const sandboxId of unknown) {
    host.logger.warn({ sandboxId }, 'removing what a stray sandbox left');
    await host.driver.destroy(sandboxId, host.store.directoryOf(sandboxId));
    await host.store.remove(sandboxId);
  }
  const slots = new Set(table.all().map((sandbox) => sandbox.record.slot));
  const strayInterfaces = host.network.listTraces().filter((slot) => !slots.has(slot));
  for (const slot of strayInterfaces) {
    await host.network.detach(slot);
  }
  return unknown.size + strayInterfaces.length;
}
