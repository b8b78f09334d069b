import type { OperationContext } from '../operation-context.ts';
import { resumeSandbox } from './resume.ts';

/** A sandbox that was resumed by a request runs for at least this long, as with E2B. */
const leastTimeoutSeconds = 300;

/** Resumes a paused sandbox for a request, with the timeout that its creator or last resumer asked for. */
export async function resumeForTraffic(context: OperationContext, sandboxId: string): Promise<void> {
  const { timeoutSeconds } = context.table.getTenants(sandboxId).record.tenant.lifecycle;
  await resumeSandbox(context, sandboxId, {
    timeoutSeconds: Math.max(timeoutSeconds, leastTimeoutSeconds),
    withMemory: true,
    cause: 'traffic',
  });
}
