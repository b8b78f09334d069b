import { randomUUID } from 'node:crypto';
import { randomId, SoulBoxError } from '@soulbox/base';
import type { BuildRecord, TeamRecord, TemplateRecord } from '@soulbox/storage';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { runOnce } from '../idempotency/run-once.ts';
import { cpuMax, diskMbMax, memoryMbMax, memoryMbMin, tagsMax, waitingBuildsMax } from '../limits.ts';
import { raiseTeam } from '../quotas/budgets.ts';
import { storedHintSeconds } from '../quotas/quotas.ts';
import { fullNameOf, parseNewName } from './names.ts';

const filled = <T>(schema: z.ZodType<T>, value: NoInfer<T>) => schema.nullish().transform((given) => given ?? value);

const cpuCount = z
  .int()
  .min(1)
  .max(cpuMax)
  .refine((count) => count === 1 || count % 2 === 0, 'must be 1 or even');

const requestSchema = z
  .object({
    name: z.string().max(256).nullish().describe('`[team/]name[:tag]`. An existing template gets another build.'),
    alias: z.string().max(256).nullish().describe('Deprecated: older clients send this instead of `name`.'),
    tags: filled(z.array(z.string().max(128)).max(tagsMax), []).describe(
      'Default: the tag in the name, or else `default`.',
    ),
    cpuCount: filled(cpuCount, 2).describe('1 or even.'),
    memoryMB: filled(z.int().min(memoryMbMin).max(memoryMbMax), 1024).describe('MiB'),
    minFreeDiskMb: filled(z.int().min(0).max(diskMbMax), 0).describe(
      'Minimum free disk space in MiB after the build. 0: as in the base template.',
    ),
  })
  .meta({ id: 'TemplateBuildRequestV3' });

const requestedSchema = z
  .object({
    templateID: z.string(),
    buildID: z.string(),
    public: z.boolean(),
    names: z.array(z.string()),
    tags: z.array(z.string()),
    aliases: z.array(z.string()),
  })
  .meta({ id: 'TemplateRequestResponseV3' });

/** The reason of the older of two builds for one tag. */
export const replacedReason = {
  message: 'The build was canceled because a newer build for the same name and tag was requested.',
  step: '',
};

export function addRequestBuildRoutes(app: ApiApp, context: ApiContext): void {
  for (const url of ['/v3/templates', '/v2/templates'])
    app.post(
      url,
      {
        schema: {
          tags: ['templates'],
          summary: `Create a build; start it after its files are uploaded${url === '/v2/templates' ? ' (older clients)' : ''}`,
          body: requestSchema,
          response: { 202: requestedSchema, ...errors(400, 403, 404, 409, 413, 415, 422, 503) },
        },
      },
      async (request, reply) => {
        const { team } = callerOf(request);
        const answer = await runOnce(context, request, reply, {
          make: async (creationId) => await requestBuild(context, team, request.body, creationId || randomUUID()),
          find: async (creationId) => await findRequested(context, team, creationId),
          gone: () =>
            new SoulBoxError(
              'build_not_found',
              'The build that this Idempotency-Key has requested does not exist any more.',
            ),
        });
        return reply.code(202).send(answer);
      },
    );
}

/** The build that was requested under this id, in the form of the first answer. */
async function findRequested(context: ApiContext, team: TeamRecord, buildId: string) {
  const build = await context.records.builds.find(buildId);
  if (build === undefined) return undefined;
  const template = await context.records.templates.findById(build.templateId);
  return template?.teamId === team.id ? requestedToWire(team, template, build) : undefined;
}

async function requestBuild(
  context: ApiContext,
  team: TeamRecord,
  body: z.infer<typeof requestSchema>,
  buildId: string,
) {
  const text = body.name ?? body.alias;
  if (text === undefined || text === null) throw new SoulBoxError('bad_request', 'name: is required.');
  const { name, tags } = await parseNewName(context, team, text, body.tags);
  if (tags.length > tagsMax) throw new SoulBoxError('bad_request', `tags: at most ${tagsMax} are allowed.`);
  const template = await ensureTemplate(context, team, name);
  const { cpuCount: cpus, memoryMB: memoryMb, minFreeDiskMb } = body;
  const build = { id: buildId, templateId: template.id, tags, cpuCount: cpus, memoryMb, minFreeDiskMb };
  const createdAt = context.clock.now();
  if (!(await context.records.builds.request({ ...build, createdAt }, waitingBuildsMax, replacedReason)))
    throw new SoulBoxError(
      'limit_exceeded',
      `The team has ${waitingBuildsMax} requested builds that were never started. Start one of them, or retry later.`,
    );
  context.logger.info({ team: team.id, templateId: template.id, buildId: build.id }, 'build requested');
  return requestedToWire(team, template, build);
}

function requestedToWire(team: TeamRecord, template: TemplateRecord, build: Pick<BuildRecord, 'id' | 'tags'>) {
  const { id, name, isPublic } = template;
  const names = { names: [fullNameOf(team, name)], aliases: [name] };
  return { templateID: id, buildID: build.id, public: isPublic, tags: [...build.tags], ...names };
}

async function ensureTemplate(context: ApiContext, team: TeamRecord, name: string): Promise<TemplateRecord> {
  const { templates: limit } = await context.quotas.limitsOf(team.id);
  const wanted = { id: randomId(20), teamId: team.id, name, createdAt: context.clock.now() };
  const template = await context.records.templates.ensure(wanted, limit);
  if (template !== undefined) return template;
  throw new SoulBoxError(
    'limit_exceeded',
    `The team has reached the maximum number of templates (${limit}). Delete some. ${raiseTeam('templates')}`,
    { retryAfterSeconds: storedHintSeconds },
  );
}
