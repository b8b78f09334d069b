import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { Caller } from '../auth/caller.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { requestedIsolation } from '../http/requested-isolation.ts';
import { runOnce } from '../idempotency/run-once.ts';
import { replacedReason } from '../templates/request-build.ts';
import { findBase } from './base.ts';
import type { BuildBase } from './base.ts';
import { buildParams, getOwnBuild } from '../lookup/build.ts';
import { runnerIdOf } from '../names/build-id.ts';
import { buildStartSchema } from './start-schema.ts';
import type { BuildStart } from './start-schema.ts';
import { stepsToRunner } from './steps.ts';

export function addStartBuildRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/v2/templates/:templateID/builds/:buildID',
    {
      schema: {
        tags: ['templates'],
        summary: 'Start a requested build',
        description: 'Cancels a running build of the same template and tag. Poll the status for progress.',
        params: buildParams,
        body: buildStartSchema,
        response: {
          202: z.null().optional().describe('Accepted; no content.'),
          ...errors(400, 404, 409, 413, 415, 422, 503),
        },
      },
    },
    async (request, reply) => {
      const isolation = requestedIsolation(request, request.body);
      const caller = callerOf(request);
      await runOnce(context, request, reply, {
        isSecond: true,
        make: async () => {
          await startBuild(context, caller, request.params, { ...request.body, isolation });
          return true;
        },
        find: async () => {
          const { build } = await getOwnBuild(context, caller.team, request.params);
          return build.status === 'waiting' ? undefined : true;
        },
        gone: () => notWaiting(request.params.buildID),
      });
      return reply.code(202).send(undefined);
    },
  );
}

async function startBuild(
  context: ApiContext,
  { team, keyId }: Caller,
  params: z.infer<typeof buildParams>,
  body: Omit<BuildStart, 'isolation'> & { readonly isolation: string },
): Promise<void> {
  const { template, build } = await getOwnBuild(context, team, params);
  if (build.status !== 'waiting') throw notWaiting(build.id);
  await context.quotas.checkBudgets({ teamId: team.id, keyId }, await context.quotas.limitsOf(team.id));
  const from = await findBase(context, team, body);
  const steps = await stepsToRunner(context, team, body.steps);
  const commands = commandsOf(body, from);
  const limit = context.config.teamBuildLimit;
  const now = context.clock.now();
  const start = await context.records.builds.start(build.id, commands, limit, replacedReason, now);
  if (start.outcome === 'too_many')
    throw new SoulBoxError(
      'limit_exceeded',
      `The team has reached its limit of ${limit} concurrent builds. Retry when one has finished.`,
      { retryAfterSeconds: 1 },
    );
  if (start.outcome !== 'started') throw notWaiting(build.id);
  for (const replaced of start.replaced) context.builder.cancel(replaced);
  const { cpuCount, memoryMb, minFreeDiskMb } = build;
  context.builder.begin({
    buildId: build.id,
    baseBuildId: from.build?.id,
    request: {
      ...{ buildId: runnerIdOf(build.id), teamId: team.id, templateId: template.id, base: from.base, steps },
      ...{ force: body.force, isolation: body.isolation, ...commands, cpuCount, memoryMb, minFreeDiskMb },
    },
  });
  context.logger.info({ team: team.id, buildId: build.id, steps: steps.length }, 'build started');
}

function notWaiting(buildId: string): SoulBoxError {
  return new SoulBoxError(
    'bad_request',
    `Build ${quoteForError(buildId)} was already started or has been abandoned. Request a new build.`,
  );
}

/** A template without its own start command inherits the commands of its base. Its own ready command has precedence. */
function commandsOf({ startCmd, readyCmd }: Pick<BuildStart, 'startCmd' | 'readyCmd'>, { build }: BuildBase) {
  const inherited = startCmd === undefined ? build : undefined;
  return {
    startCommand: startCmd ?? inherited?.startCommand ?? '',
    readyCommand: readyCmd ?? inherited?.readyCommand ?? '',
  };
}
