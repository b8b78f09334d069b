import type { SandboxHost } from './boot.ts';
import { removeSandbox } from './boot.ts';
import type { SandboxTable } from './table.ts';
import { isTenants } from './table.ts';
import type { Events } from '../events.ts';

/** Why a sandbox ended: asked for, its deadline passed, or its processes died by themselves. */
export type EndCause = 'killed' | 'timeout' | 'failed';

export interface EndContext {
  readonly host: SandboxHost;
  readonly table: SandboxTable;
  readonly events: Events;
  /** Stops serving a sandbox: its routes are gone and its open streams are reset. */
  readonly cutOff: (sandboxId: string) => void;
}

/**
 * Ends a sandbox, whatever it was doing. Gives false when there is none (or it is ending already). Order: nobody reaches
 * it any more, the intent is on disk, then processes, mounts, network and folder go, and the record last.
 */
export async function endSandbox(context: EndContext, sandboxId: string, cause: EndCause): Promise<boolean> {
  const { host, table, events } = context;
  const sandbox = table.find(sandboxId);
  if (sandbox === undefined || sandbox.record.state === 'ending') return false;
  const startedAt = performance.now();
  const wasTenants = isTenants(sandbox);
  const recorded = table.step(sandbox, 'ending');
  context.cutOff(sandboxId);
  if (wasTenants) events.emit({ event: { case: 'ended', value: { sandboxId, cause } } });
  try {
    await recorded;
    sandbox.namespace.close();
    await removeSandbox(host, sandbox.record);
    table.delete(sandboxId);
    host.logger.info({ sandboxId, cause, durationMs: Math.round(performance.now() - startedAt) }, 'sandbox ended');
  } catch (err) {
    // The record says `ending`: the next sweep of the keeper or the next start tries again.
    host.logger.error({ sandboxId, cause, err }, 'sandbox not wholly removed');
  }
  return true;
}

/** Tries again to remove sandboxes whose end failed half-way. */
export async function retryEndings(context: EndContext): Promise<void> {
  for (const sandbox of context.table.all()) {
    if (sandbox.record.state !== 'ending') continue;
    try {
      await removeSandbox(context.host, sandbox.record);
      context.table.delete(sandbox.record.sandboxId);
    } catch (err) {
      context.host.logger.error({ sandboxId: sandbox.record.sandboxId, err }, 'sandbox still not removed');
    }
  }
}
