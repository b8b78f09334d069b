import { SoulBoxError } from '@soulbox/base';
import { roles, scopes, scopesOfRole } from '@soulbox/contract';
import { z } from 'zod';
import { personOf } from '../auth/person.ts';
import { clearCookie } from '../auth/own-cookies.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, noContent, timeSchema, timeToWire } from '../http/schemas.ts';
import { peopleOf } from './people-of.ts';
import { teamsOf } from '../auth/teams-of.ts';
import { signOut, signOutEverywhere } from './sign-out.ts';

const sessionSchema = z
  .object({
    user: z.object({ id: z.uuid(), email: z.string(), name: z.string() }),
    via: z.enum(['session', 'token']),
    expiresAt: timeSchema,
    csrfToken: z.string().nullable().describe('For `X-CSRF-Token` of changes with the cookie. Null for a token.'),
    teams: z.array(
      z.object({ teamID: z.string(), name: z.string(), role: z.enum(roles), scopes: z.array(z.enum(scopes)) }),
    ),
  })
  .meta({ id: 'PersonSession' });

/** Who is signed in, for the CLI and for pages. */
export function addSessionRoutes(app: ApiApp, context: ApiContext): void {
  app.get(
    '/auth/session',
    {
      config: { auth: 'person' },
      schema: {
        tags: ['people'],
        summary: 'The signed-in person with their teams. SoulBox extension.',
        response: { 200: sessionSchema, ...errors(403) },
      },
    },
    async (request) => {
      const { secrets } = peopleOf(context);
      const person = personOf(request);
      const { id, email, name } = person.user;
      const isSession = person.via === 'session';
      return {
        user: { id, email, name },
        via: person.via,
        expiresAt: timeToWire(isSession ? person.session.expiresAt : person.expiresAt),
        csrfToken: isSession ? secrets.csrfTokenOf(person.session.id) : null,
        teams: (await teamsOf(context, id)).map(({ team, role }) => ({
          ...{ teamID: team.id, name: team.name, role, scopes: [...scopesOfRole(role)] },
        })),
      };
    },
  );

  app.delete(
    '/auth/session',
    {
      config: { auth: 'person' },
      schema: {
        tags: ['people'],
        summary: 'Sign out: ends the session or revokes the token of this request. SoulBox extension.',
        querystring: z.object({
          everywhere: z
            .enum(['true', 'false'])
            .transform((text) => text === 'true')
            .optional()
            .describe('All sessions of the person, and all tokens that programs have got from them. Not with a token.'),
        }),
        response: { 204: noContent, ...errors(403) },
      },
    },
    async (request, reply) => {
      const people = peopleOf(context);
      const person = personOf(request);
      const { everywhere = false } = request.query;
      if (everywhere && person.via === 'token')
        throw new SoulBoxError('forbidden', 'A token cannot end other sessions and tokens. Sign in with a browser.');
      await (everywhere ? signOutEverywhere : signOut)(request, context, person);
      if (person.via === 'session') void reply.header('set-cookie', clearCookie('session', people));
      return await reply.code(204).send(null);
    },
  );
}
