import { errorFromUnknown, SoulBoxError } from '@soulbox/base';
import type { SandboxRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { runnerStateMs } from '../limits.ts';
import { callRunner } from '../runner/call.ts';
import { factsFromRunner } from '../runner/sandbox-facts.ts';
import type { Deed } from '../trail/deed.ts';

const cause = 'budget';

/**
 * Pauses or kills a sandbox that has used up a budget, with a line in the log and a record in the audit log. Limits of
 * the team for saved memory do not apply, as for a pause at a deadline. False if it continues to run.
 */
export async function stopSandbox(context: ApiContext, record: SandboxRecord, message: string): Promise<boolean> {
  const { budgetAction: action } = context.config;
  const deed: Deed = {
    ...{ teamId: record.teamId, action: `sandbox.${action}`, class: 'operation', scope: 'server', rule: 'budget' },
    actor: { kind: 'server', id: 'budgets' },
    target: { kind: 'sandbox', id: record.id },
  };
  await context.trail.admitAlways(deed);
  try {
    await (action === 'pause' ? pause(context, record) : kill(context, record));
    context.logger.info(
      { sandboxId: record.id, team: record.teamId, action, message },
      'sandbox stopped: budget spent',
    );
    await context.trail.tell(deed, 'outcome', { status: 'success', code: 204 });
    return true;
  } catch (thrown) {
    await context.trail.tell(deed, 'outcome', { status: 'failure', code: 503 });
    if (isOver(errorFromUnknown(thrown))) return true;
    const facts = { sandboxId: record.id, team: record.teamId, action, err: thrown };
    context.logger.error(facts, 'sandbox that has used up a budget could not be stopped; it continues to run');
    return false;
  }
}

/** It was paused or ended meanwhile. */
const isOver = ({ reason }: SoulBoxError): boolean => reason === 'already_paused' || reason === 'sandbox_not_found';

async function pause(context: ApiContext, { id: sandboxId }: SandboxRecord): Promise<void> {
  const order = { sandboxId, keepMemory: true, cause };
  const { sandbox } = await callRunner((options) => context.runner.pauseSandbox(order, options), runnerStateMs);
  if (sandbox !== undefined) await context.records.sandboxes.put(factsFromRunner(sandbox), context.clock.now());
}

async function kill(context: ApiContext, { id: sandboxId }: SandboxRecord): Promise<void> {
  await callRunner((options) => context.runner.killSandbox({ sandboxId, cause }, options), runnerStateMs);
  await context.records.sandboxes.end(sandboxId, cause, context.clock.now());
}
