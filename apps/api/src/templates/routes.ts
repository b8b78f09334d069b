import { SoulBoxError } from '@soulbox/base';
import { envdVersion } from '@soulbox/contract';
import type { Template } from '@soulbox/contract/runner';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, timeToWire } from '../http/schemas.ts';
import { shown } from '../http/shown.ts';
import { templateAliasSchema, templateSchema } from './schemas.ts';

/** The read-only part of templates: what the CLI's `template list` and the clients' `exists` need. */
export function addTemplateRoutes(app: ApiApp, context: ApiContext): void {
  app.get(
    '/templates',
    {
      schema: {
        tags: ['templates'],
        summary: 'List the templates that sandboxes can be made from',
        querystring: z.object({ teamID: z.string().optional().describe('Ignored: the key decides.') }),
        response: { 200: z.array(templateSchema), ...errors(400, 503) },
      },
    },
    async () => (await context.templates.list()).map(templateToWire),
  );

  app.get(
    '/templates/aliases/:alias',
    {
      schema: {
        tags: ['templates'],
        summary: 'Find a template by its name',
        params: z.object({ alias: z.string() }),
        response: { 200: templateAliasSchema, ...errors(400, 404, 503) },
      },
    },
    async (request) => {
      const found = await context.templates.find(callerOf(request).team, request.params.alias);
      if (found === undefined) throw templateNotFound(request.params.alias);
      return { templateID: found.template.templateId, public: true };
    },
  );
}

export function templateNotFound(reference: string): SoulBoxError {
  return new SoulBoxError('template_not_found', `template ${shown(reference)} not found`);
}

/** The runner knows no times, builds or counts of a template yet; the documented fields get neutral values. */
function templateToWire(template: Template): z.infer<typeof templateSchema> {
  return {
    templateID: template.templateId,
    buildID: template.templateId,
    cpuCount: template.cpuCount,
    memoryMB: template.memoryMb,
    diskSizeMB: template.diskSizeMb,
    public: true,
    aliases: template.names,
    names: template.names,
    createdAt: timeToWire(0),
    updatedAt: timeToWire(0),
    createdBy: null,
    lastSpawnedAt: null,
    spawnCount: 0,
    buildCount: 1,
    envdVersion,
    buildStatus: 'ready',
  };
}
