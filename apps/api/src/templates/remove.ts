import { SoulBoxError } from '@soulbox/base';
import type { TeamRecord, TemplateRecord } from '@soulbox/storage';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, noContent } from '../http/schemas.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { aliveAfter } from '../lookup/sandbox.ts';
import { findSnapshot } from '../lookup/snapshot.ts';
import { removeSnapshot } from '../snapshots/remove.ts';
import { findOwnTemplate, templateNotFound, templateParams } from '../lookup/template.ts';

export function addRemoveTemplateRoute(app: ApiApp, context: ApiContext): void {
  app.delete(
    '/templates/:templateID',
    {
      schema: {
        tags: ['templates'],
        summary: 'Delete a template with its builds and tags, or a snapshot',
        params: templateParams,
        response: { 204: noContent, ...errors(400, 403, 404, 503) },
      },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      const { templateID } = request.params;
      const snapshot = await findSnapshot(context, team, templateID);
      const template = snapshot === undefined ? await findOwnTemplate(context, team, templateID) : undefined;
      if (snapshot !== undefined) {
        if (!(await removeSnapshot(context, snapshot))) throw templateNotFound(templateID);
      } else if (template === undefined) throw await notDeletable(context, team, templateID);
      else await removeTemplate(context, template);
      return reply.code(204).send(null);
    },
  );
}

async function notDeletable(context: ApiContext, team: TeamRecord, text: string): Promise<SoulBoxError> {
  if ((await context.templates.find(team, text)) === undefined) return templateNotFound(text);
  return new SoulBoxError(
    'forbidden',
    `Template ${quoteForError(text)} belongs to the server. Only the operator can remove it: \`soulbox template remove\`.`,
  );
}

/**
 * Cancels its running builds. Their snapshots are deleted immediately, or at the next comparison of records and runner.
 */
async function removeTemplate(context: ApiContext, { id, name, teamId }: TemplateRecord): Promise<void> {
  const builds = await context.records.templates.remove(id, aliveAfter(context));
  if (builds === undefined) throw templateNotFound(name);
  if (builds === 'in_use')
    throw new SoulBoxError(
      'template_in_use',
      `Template ${quoteForError(name)} has running or paused sandboxes. Kill them first.`,
    );
  context.logger.info({ team: teamId, templateId: id }, 'template deleted');
  for (const buildId of builds) {
    context.builder.cancel(buildId);
    await context.builder.forget(buildId);
  }
}
