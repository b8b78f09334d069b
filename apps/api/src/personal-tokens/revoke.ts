import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import { personOf } from '../auth/person.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { errors, noContent } from '../http/schemas.ts';
import { tellTeams } from '../sign-in/tell-teams.ts';

export function addRevokeTokenRoute(app: ApiApp, context: ApiContext): void {
  app.delete(
    '/personal-tokens/:tokenID',
    {
      config: { auth: 'person' },
      schema: {
        tags: ['people'],
        summary: 'Revoke a token of the signed-in person. SoulBox extension.',
        params: z.object({ tokenID: z.string() }),
        response: { 204: noContent, ...errors(403, 404) },
      },
    },
    async (request, reply) => {
      const { user, via } = personOf(request);
      const { tokenID: id } = request.params;
      if (!(await context.records.personalTokens.remove(user.id, id)))
        throw new SoulBoxError('key_not_found', `Personal token ${quoteForError(id)} was not found.`);
      const target = { kind: 'token', id };
      await tellTeams(request, context, { action: 'token.revoke', userId: user.id, rule: via, target });
      return reply.code(204).send(null);
    },
  );
}
