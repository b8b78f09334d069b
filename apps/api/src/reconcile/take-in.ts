import type { Sandbox } from '@soulbox/contract/runner';
import type { ApiContext } from '../context.ts';
import { findInRunner } from '../lookup/in-runner.ts';
import { callRunner } from '../runner/call.ts';
import { factsFromRunner } from '../runner/sandbox-facts.ts';

/**
 * Makes the records agree with a sandbox that the runner has. A missing row is created. A row that had ended as lost
 * becomes live again. If the row had ended in any other way, the sandbox is ended in the runner too, because its owner
 * was told that it is gone.
 */
export async function takeIn(context: ApiContext, sandbox: Sandbox): Promise<void> {
  const { sandboxId } = sandbox;
  const row = await context.records.sandboxes.find(sandboxId);
  if (row?.state !== 'ended') {
    await putSandbox(context, sandbox);
    return;
  }
  // It may have ended a moment ago, after the runner sent its list.
  const present = await findInRunner(context, sandboxId);
  if (present === undefined) return;
  if (row.cause === 'lost') {
    if (await context.records.sandboxes.takeBack(factsFromRunner(present), context.clock.now()))
      context.logger.warn({ sandboxId, team: row.teamId }, 'sandbox that was recorded as lost is back');
    return;
  }
  context.logger.warn(
    { sandboxId, team: row.teamId, cause: row.cause },
    'sandbox ran past its deadline; ending it now',
  );
  await callRunner((options) => context.runner.killSandbox({ sandboxId }, options));
}

/**
 * Writes the runner's facts about a sandbox. If the team is unknown because the records file was lost or replaced, the
 * team is recreated without keys. Nobody else sees its sandboxes, but the operator does (`soulbox sandbox recover`).
 */
export async function putSandbox(context: ApiContext, sandbox: Sandbox): Promise<void> {
  const { sandboxId, teamId } = sandbox;
  const facts = factsFromRunner(sandbox);
  if (await context.records.sandboxes.put(facts, context.clock.now())) return;
  const team = {
    id: teamId,
    name: `recovered ${teamId.slice(0, 8)}`,
    isDefault: false,
    createdAt: context.clock.now(),
  };
  await context.records.teams.create(team);
  await context.records.sandboxes.put(facts, context.clock.now());
  context.logger.warn({ sandboxId, team: teamId }, 'sandbox of an unknown team; the team is recreated without keys');
}
