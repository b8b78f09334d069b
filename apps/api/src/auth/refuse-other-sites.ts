import { constantTimeEqual, SoulBoxError } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import type { SessionRecord } from '@soulbox/storage';
import type { FastifyRequest } from 'fastify';
import type { People } from '../people/people.ts';

const reading: readonly string[] = ['GET', 'HEAD'];

/**
 * A browser sends the cookie of a session with requests that other pages cause. Throws `forbidden` unless the request
 * comes from a page of this server: its `Origin` and `Sec-Fetch-Site` say so, and a change has one of them and the token
 * of the session. `sendsForm`: the route reads the token from its form; `isPage`: a link may lead to it.
 */
export function refuseOtherSites(
  request: FastifyRequest,
  { origin, secrets }: Pick<People, 'origin' | 'secrets'>,
  session: SessionRecord,
  { sendsForm = false, isPage = false }: { readonly sendsForm?: boolean; readonly isPage?: boolean },
): void {
  const { origin: from, 'sec-fetch-site': site } = request.headers;
  const isReading = reading.includes(request.method);
  const isOther = (from !== undefined && from !== origin) || (site !== undefined && site !== 'same-origin');
  if (isReading && isPage) return;
  if (isOther || (!isReading && from === undefined && site === undefined))
    throw new SoulBoxError('forbidden', 'The request does not come from a page of this server.');
  if (isReading || sendsForm) return;
  const token = request.headers[headers.csrfToken];
  if (typeof token !== 'string' || !constantTimeEqual(token, secrets.csrfTokenOf(session.id)))
    throw new SoulBoxError('forbidden', 'The request needs the X-CSRF-Token of the session (GET /auth/session).');
}
