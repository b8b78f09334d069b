import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, noContent, sandboxParams } from '../http/schemas.ts';
import { runnerStateMs } from '../limits.ts';
import { getLive, goneFromRunner, withRow } from '../lookup/sandbox.ts';
import { callRunner } from '../runner/call.ts';
import { factsFromRunner } from '../runner/sandbox-facts.ts';
import { networkFacts } from './network-facts.ts';
import { networkUpdateSchema } from './network-schema.ts';
import type { NetworkUpdate } from './network-schema.ts';
import { policyToRunner } from './network-policy.ts';
import { permitSecrets } from './permit-secrets.ts';

export function addSetNetworkRoute(app: ApiApp, context: ApiContext): void {
  app.put(
    '/sandboxes/:sandboxID/network',
    {
      config: { auditFacts: (body) => networkFacts(body as NetworkUpdate) },
      schema: {
        tags: ['sandboxes'],
        summary: 'Replace the network policy of a running sandbox; 409 if it is paused',
        description:
          'The response follows when the policy is in effect. Connections that it forbids have ended. What the body leaves out is ' +
          'cleared. `allowPublicTraffic`, `maskRequestHost`, `httpsPorts` and `iam` stay as they were at the create.',
        params: sandboxParams,
        body: networkUpdateSchema,
        response: { 204: noContent, ...errors(400, 404, 409, 413, 415, 503) },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request);
      const record = await getLive(context, caller, request.params.sandboxID);
      const { sandbox: present } = await withRow(context, record, () =>
        callRunner((options) => context.runner.getSandbox({ sandboxId: record.id }, options)),
      );
      // They stay, and rules may name them.
      const policy = policyToRunner(request.body, { tokens: present?.network?.identityTokens ?? {} });
      permitSecrets(caller, request.body.rules);
      const change = { sandboxId: record.id, policy };
      const { sandbox } = await withRow(context, record, () =>
        callRunner((options) => context.runner.setNetworkPolicy(change, options), runnerStateMs),
      );
      if (sandbox === undefined) throw await goneFromRunner(context, record);
      await context.records.sandboxes.put(factsFromRunner(sandbox), context.clock.now());
      context.logger.info({ sandboxId: record.id }, 'network policy replaced');
      return reply.code(204).send(null);
    },
  );
}
