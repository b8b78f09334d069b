import { constantTimeEqual, SoulBoxError } from '@soulbox/base';
import type { FastifyRequest } from 'fastify';
import type { People } from '../people/people.ts';
import { markup } from '../pages/html.ts';
import type { Html } from '../pages/html.ts';
import type { Person } from '../auth/person.ts';

/** Settings of a page and of its form. */
export const pageConfig = { auth: 'session', page: true, room: 'own' } as const;

/** The hidden field without which a form is refused. */
export function formToken({ secrets }: People, person: Person): Html {
  const value = person.via === 'session' ? secrets.csrfTokenOf(person.session.id) : '';
  return markup`<input type="hidden" name="csrf" value="${value}">`;
}

/** The fields of the form of a signed-in person. Throws `forbidden` without the token of the session. */
export function readForm(request: FastifyRequest, people: People, person: Person): Readonly<Record<string, string>> {
  const fields = (request.body ?? {}) as Readonly<Record<string, string>>;
  const { csrf = '' } = fields;
  if (person.via !== 'session' || !constantTimeEqual(csrf, people.secrets.csrfTokenOf(person.session.id)))
    throw new SoulBoxError('forbidden', 'The form is not from the current session. Reload the page.');
  return fields;
}
