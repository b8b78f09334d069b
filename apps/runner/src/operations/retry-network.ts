import { sleepUnlessAborted } from '@soulbox/base';
import { policyOf } from '../registry/network-policy.ts';
import { isRunning } from '../registry/table.ts';
import type { RunningSandbox } from '../registry/table.ts';
import type { OperationContext } from './operation-context.ts';
import { trustOwnAuthority } from './trust-own-authority.ts';

/** How often the policy of the record is tried. Milliseconds. */
const enforceMs = 500;
/** When the sandbox is asked again to trust its authority. An attempt may hold its lock for seconds. Milliseconds. */
const trustDelaysMs = [1000, 5000, 30_000, 60_000, 300_000];

/**
 * Sandboxes that are asked again. One job is enough for each: an attempt takes up to 10 s of its lock, and whoever wants
 * to end the sandbox waits for that lock.
 */
const asked = new WeakSet<RunningSandbox>();

/** Enforces what the record says, until that succeeds or the processes have ended. The next server does it, too. */
export function enforceRecordLater(context: OperationContext, { record }: RunningSandbox): void {
  const { host } = context;
  context.background.start(async (stopping) => {
    const enforce = async (sandbox: RunningSandbox): Promise<void> =>
      await host.network.setPolicy(sandbox.record.slot, policyOf(sandbox.record));
    while (!(await attempt(context, record, enforce))) if (!(await pause(enforceMs, stopping))) return;
    host.logger.info({ sandboxId: record.sandboxId }, 'the network policy of the record is in effect again');
  });
}

/** Asks the sandbox again to trust its authority, a few times. Until then, hosts with rules are refused. */
export function trustLater(context: OperationContext, sandbox: RunningSandbox): void {
  const { record } = sandbox;
  if (asked.has(sandbox)) return;
  asked.add(sandbox);
  context.background.start(async (stopping) => {
    for (const delayMs of trustDelaysMs) {
      if (!(await pause(delayMs, stopping))) break;
      if (await attempt(context, record, async (found) => await trustOwnAuthority(context, found))) break;
    }
    asked.delete(sandbox);
  });
}

/** False if the server stops. */
async function pause(ms: number, stopping: AbortSignal): Promise<boolean> {
  await sleepUnlessAborted(ms, stopping).catch(() => undefined);
  return !stopping.aborted;
}

/** Whether nothing is left to do: the work is done, or the processes that it was for have ended. */
async function attempt(
  { table, host }: OperationContext,
  { sandboxId, generation }: RunningSandbox['record'],
  work: (sandbox: RunningSandbox) => Promise<void>,
): Promise<boolean> {
  return await table.alone(sandboxId, async () => {
    const sandbox = table.find(sandboxId);
    if (sandbox?.record.generation !== generation || !isRunning(sandbox)) return true;
    try {
      await work(sandbox);
      return true;
    } catch (err) {
      host.logger.warn({ err, sandboxId }, 'network settings of a sandbox could not be repaired yet');
      return false;
    }
  });
}
