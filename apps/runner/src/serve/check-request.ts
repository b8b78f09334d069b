import { SoulBoxError } from '@soulbox/base';
import type { TeamLimits as TeamLimitsMessage } from '@soulbox/contract/runner';
import type { Template } from '@soulbox/templates';
import { checkTeamLimit } from '../operations/team-limits.ts';
import type { TeamUsage } from '../operations/team-usage.ts';
import type { HostRecord } from '../registry/record.ts';
import { isTenants } from '../registry/table.ts';
import type { KnownSandbox } from '../registry/table.ts';
import { limitsFromMessage } from './from-message.ts';

/**
 * Throws `limit_exceeded` when the team has reached a limit of the request. A request without limits is not checked.
 */
export function checkTeam(
  usageOf: (teamId: string) => TeamUsage,
  teamId: string,
  limits: TeamLimitsMessage | undefined,
  name: keyof TeamUsage,
): void {
  if (limits !== undefined) checkTeamLimit(usageOf(teamId), limitsFromMessage(limits), name);
}

/** Throws `template_not_found` when there is none, or when it does not have the name any more that the caller knows. */
export function checkTemplate(
  template: Template | undefined,
  { templateId, templateName }: { templateId: string; templateName: string },
): Template {
  if (template === undefined || (templateName !== '' && !template.names.includes(templateName)))
    throw new SoulBoxError('template_not_found', `Template "${templateName || templateId}" was not found.`);
  return template;
}

/** Of two kills at once the second waits for the first, so that both return when the sandbox is gone. */
export function isKillable(sandbox: KnownSandbox | undefined): boolean {
  return sandbox !== undefined && (isTenants(sandbox) || sandbox.record.state === 'ending');
}

/** A sandbox that is paused already takes no more memory. Its pause fails with `already_paused` instead of a limit. */
export function takesMemory({ state }: HostRecord): boolean {
  return state !== 'paused';
}
