import { SoulBoxError } from '@soulbox/base';
import type { FastifyRequest } from 'fastify';
import type { Caller } from './caller.ts';
import { gatewayAccess, routeAccess } from './route-access.ts';
import type { RouteAccess } from './route-access.ts';

/**
 * Whether the caller of a request, `request.caller` by default, may call its route at all. The one place where scopes of routes are enforced. Throws
 * `scope_missing`, and `internal` for a route without an entry in the table.
 */
export function permitRoute(request: FastifyRequest, caller = request.caller): void {
  if (request.is404) return;
  const route = `${request.method} ${request.routeOptions.url ?? ''}`;
  const access = routeAccess[route];
  if (access === undefined) throw new SoulBoxError('internal', `The route ${route} does not say who may call it.`);
  // Without a caller, `authenticate` has let in the operator, or a browser that will be asked for a key.
  if (caller !== null && caller !== undefined) permit(caller, access);
}

/** What the holder of a key needs to sign a URL: the same as for what it opens. Throws `internal` for an unknown route. */
export function accessOfSigned(
  destination: { readonly kind: 'sandbox' | 'function' } | undefined,
  route: string | undefined,
): RouteAccess {
  const access = destination === undefined ? routeAccess[route ?? ''] : gatewayAccess[destination.kind];
  if (access === undefined) throw new SoulBoxError('internal', 'The signed route does not say who may call it.');
  return access;
}

/** Throws `scope_missing`. `kind`: how its text calls the caller. Default: an API key. */
export function permit(
  { kind = 'API key', scopes, templates }: Pick<Caller, 'scopes' | 'templates'> & Partial<Pick<Caller, 'kind'>>,
  access: RouteAccess,
): void {
  if ('keyless' in access) return;
  const { scope } = access;
  if (scope !== 'any' && !scopes.includes(scope))
    throw new SoulBoxError(
      'scope_missing',
      `This requires the scope "${scope}". The ${kind} has ${scopes.length === 0 ? 'no scope' : scopes.join(', ')}.`,
    );
  if (access.templates === 'refused' && templates.length > 0)
    throw new SoulBoxError(
      'scope_missing',
      `The API key is restricted to templates (${templates.join(', ').slice(0, 200)}) and cannot be used for this.`,
    );
}
