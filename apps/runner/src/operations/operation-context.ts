import type { Clock } from '@soulbox/base';
import type { TemplateStore } from '@soulbox/templates';
import type { Events } from '../registry/events.ts';
import type { Holds } from '../registry/holds.ts';
import type { SandboxMetrics } from '../metrics/sandbox-metrics.ts';
import type { Activity } from '../metrics/activity.ts';
import type { Admission } from '../registry/admission.ts';
import type { Background } from '../background.ts';
import type { SandboxHost } from '../processes/sandbox-host.ts';
import type { LogBook } from '../processes/log-book.ts';
import type { SnapshotStore } from '../registry/snapshot-store.ts';
import type { References } from '../registry/references.ts';
import type { SandboxTable, TenantSandbox } from '../registry/table.ts';

/** The parts of the runner that operations on tenants' sandboxes use. */
export interface OperationContext {
  readonly host: SandboxHost;
  readonly table: SandboxTable;
  readonly snapshots: SnapshotStore;
  readonly references: References;
  readonly templates: TemplateStore;
  readonly admission: Admission;
  readonly events: Events;
  readonly metrics: SandboxMetrics;
  readonly activity: Activity;
  readonly holds: Holds;
  readonly logBook: LogBook;
  readonly clock: Clock;
  readonly background: Background;
  /** Stops serving a sandbox: open streams and connections through the gateway are reset. */
  readonly cutOff: (sandboxId: string) => Promise<void>;
  /** Ends and removes a sandbox that was never announced. */
  readonly abandon: (sandboxId: string) => Promise<void>;
}

/** Sends the present state of a sandbox to watchers. */
export function tellUpdated(context: Pick<OperationContext, 'events'>, sandbox: TenantSandbox): void {
  context.events.emit({ kind: 'updated', record: sandbox.record });
}
