import { randomUUID } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import type { Sandbox } from '@soulbox/contract/runner';
import { callerOf } from '../auth/authenticate.ts';
import type { Caller } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { runnerCreateMs } from '../limits.ts';
import { callRunner } from '../runner/call.ts';
import { factsFromRunner } from '../runner/sandbox-facts.ts';
import type { FoundTemplate } from '../templates/catalogue.ts';
import { templateNotFound } from '../templates/routes.ts';
import { checkTimeout } from './deadline.ts';
import { aliveAfter } from './find.ts';
import { newSandboxSchema, newSandboxV2Schema } from './new-sandbox-schema.ts';
import type { NewSandbox } from './new-sandbox-schema.ts';
import { sandboxSchema } from './schemas.ts';
import { sandboxToWire } from './to-wire.ts';
import { refuseUnavailable } from './unavailable.ts';

/** E2B's `error_code` for failures of a create. */
const errorCodes: Partial<Record<Reason, string>> = {
  sandbox_start_failed: 'sandbox_create_failed',
  host_not_ready: 'sandbox_create_failed',
  runner_unavailable: 'sandbox_placement_timeout',
};

const response = { 201: sandboxSchema, ...errors(400, 404, 413, 415, 501, 503, 504) };

export function addCreateRoutes(app: ApiApp, context: ApiContext): void {
  app.post(
    '/sandboxes',
    {
      config: { errorCodes },
      schema: { tags: ['sandboxes'], summary: 'Create a sandbox (older clients)', body: newSandboxSchema, response },
    },
    async (request, reply) => {
      const sandbox = await createSandbox(context, callerOf(request), request.body);
      return reply.code(201).send(sandboxToWire(sandbox, context.config));
    },
  );

  app.post(
    '/v2/sandboxes',
    {
      config: { errorCodes },
      schema: { tags: ['sandboxes'], summary: 'Create a sandbox', body: newSandboxV2Schema, response },
    },
    async (request, reply) => {
      const sandbox = await createSandbox(context, callerOf(request), { ...request.body, secure: true });
      return reply.code(201).send(sandboxToWire(sandbox, context.config));
    },
  );
}

/**
 * Intent, runner, row. A kill of this process between any two steps leaves either an intent, which the next start
 * clears, or a sandbox without a row, which it adopts. A caller who hangs up meanwhile gets no answer, but the
 * sandbox stands in the list and ends at its deadline.
 */
async function createSandbox(context: ApiContext, caller: Caller, body: NewSandbox): Promise<Sandbox> {
  checkTimeout(context, body.timeout);
  refuseUnavailable(body);
  const found = await context.templates.find(caller.team, body.templateID);
  if (found === undefined) throw templateNotFound(body.templateID);
  const creationId = await begin(context, caller, found);
  try {
    const answer = await callRunner(
      (options) => context.runner.createSandbox(requestToRunner(caller, found, body), options),
      runnerCreateMs,
    );
    if (answer.sandbox === undefined) throw new SoulBoxError('internal', 'The runner answered without a sandbox.');
    await context.records.sandboxes.completeCreation(creationId, factsFromRunner(answer.sandbox));
    context.logger.info({ sandboxId: answer.sandbox.sandboxId, team: caller.team.id }, 'sandbox created');
    return answer.sandbox;
  } catch (thrown) {
    await context.records.sandboxes.abandonCreation(creationId);
    throw thrown;
  }
}

async function begin(context: ApiContext, caller: Caller, found: FoundTemplate): Promise<string> {
  const creation = {
    id: randomUUID(),
    teamId: caller.team.id,
    templateId: found.template.templateId,
    startedAt: context.clock.now(),
  };
  const limit = context.config.teamSandboxLimit;
  if (await context.records.sandboxes.beginCreation(creation, limit, aliveAfter(context))) return creation.id;
  throw new SoulBoxError(
    'too_many_sandboxes',
    `you have reached the maximum number of concurrent sandboxes (${limit}); kill some or retry later`,
  );
}

function requestToRunner(caller: Caller, found: FoundTemplate, body: NewSandbox) {
  const { network } = body;
  return {
    teamId: caller.team.id,
    templateId: found.template.templateId,
    alias: found.alias,
    timeoutSeconds: body.timeout,
    metadata: body.metadata ?? {},
    envVars: body.envVars ?? {},
    network: {
      ...(body.allow_internet_access === undefined ? {} : { allowInternetAccess: body.allow_internet_access }),
      allowOut: network?.allowOut ?? [],
      denyOut: network?.denyOut ?? [],
      ...(network?.allowPublicTraffic === undefined ? {} : { allowPublicTraffic: network.allowPublicTraffic }),
      maskRequestHost: network?.maskRequestHost ?? '',
    },
    secure: body.secure,
  };
}
