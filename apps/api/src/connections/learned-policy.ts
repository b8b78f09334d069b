import { parseSandboxId } from '@soulbox/contract';
import type { Destination } from '@soulbox/storage';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, sandboxParams } from '../http/schemas.ts';
import { findOwn, sandboxNotFound } from '../lookup/sandbox.ts';
import { networkRulesMax } from '../limits.ts';

const learnedSchema = z
  .object({
    allowOut: z.array(z.string()),
    denyOut: z.array(z.string()),
    connections: z.int().describe('Connections that the policy was written from.'),
    isComplete: z
      .boolean()
      .describe('False: there were more destinations than a policy can have; the most used ones are in it.'),
  })
  .meta({ id: 'LearnedNetworkPolicy' });

export function addLearnedPolicyRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/sandboxes/:sandboxID/network/learned',
    {
      schema: {
        tags: ['sandboxes'],
        summary: 'The network policy that allows exactly the recorded connections of a sandbox',
        description: 'Meant for a sandbox that ran with `network.learn`. SoulBox extension.',
        params: sandboxParams,
        response: { 200: learnedSchema, ...errors(400, 404) },
      },
    },
    async (request) => {
      const { sandboxID } = request.params;
      const caller = callerOf(request);
      const sandboxId = parseSandboxId(sandboxID) ?? '';
      const found = await context.records.connections.destinations(caller.team.id, sandboxId, networkRulesMax + 1);
      // The connections outlive the sandbox's row. Without the row, nothing says of which template the sandbox was.
      const isEnough = found.length > 0 && caller.templates.length === 0;
      if (!isEnough && (await findOwn(context, caller, sandboxID)) === undefined) throw sandboxNotFound(sandboxID);
      const targets = [...new Set(found.map(targetOf))];
      return {
        allowOut: targets.slice(0, networkRulesMax),
        denyOut: ['0.0.0.0/0'],
        connections: found.reduce((sum, { count }) => sum + count, 0),
        isComplete: found.length <= networkRulesMax,
      };
    },
  );
}

/** An entry of `allowOut`. A name without a port means 80 and 443. */
function targetOf({ name, address, port }: Destination): string {
  if (name === '') return `${address}:${port}`;
  return port === 80 || port === 443 ? name : `${name}:${port}`;
}
