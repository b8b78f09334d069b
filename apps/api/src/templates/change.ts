import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { errors } from '../http/schemas.ts';
import { getOwnTemplate, templateParams } from '../lookup/template.ts';
import { fullNameOf } from './names.ts';

const changeSchema = z
  .object({ public: z.boolean().describe('Whether other teams can create sandboxes from it.') })
  .meta({ id: 'TemplateUpdateRequest' });

export function addChangeTemplateRoutes(app: ApiApp, context: ApiContext): void {
  const change = async (request: FastifyRequest, templateId: string, isPublic: boolean): Promise<string[]> => {
    const { team } = callerOf(request);
    const template = await getOwnTemplate(context, team, templateId);
    await context.records.templates.setPublic(
      template.id,
      isPublic,
      context.clock.now(),
      auditNote(request, template.id),
    );
    context.logger.info({ team: team.id, templateId: template.id, isPublic }, 'template changed');
    return [fullNameOf(team, template.name)];
  };
  const common = { tags: ['templates'], params: templateParams, body: changeSchema };
  const failures = errors(400, 404, 413, 415);

  app.patch(
    '/v2/templates/:templateID',
    {
      schema: {
        ...common,
        summary: "Publish or unpublish one of the team's templates",
        response: {
          200: z.object({ names: z.array(z.string()) }).meta({ id: 'TemplateUpdateResponse' }),
          ...failures,
        },
      },
    },
    async (request) => ({
      names: await change(request, request.params.templateID, request.body.public),
    }),
  );

  app.patch(
    '/templates/:templateID',
    {
      schema: {
        ...common,
        summary: "Publish or unpublish one of the team's templates (older clients)",
        response: { 200: z.object({}), ...failures },
      },
    },
    async (request) => {
      await change(request, request.params.templateID, request.body.public);
      return {};
    },
  );
}
