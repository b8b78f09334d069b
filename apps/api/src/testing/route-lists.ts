import { routeAccess } from '../auth/route-access.ts';
import type { RouteAccess } from '../auth/route-access.ts';

type Keyed = Extract<RouteAccess, { scope: unknown }>;
type Keyless = Extract<RouteAccess, { keyless: unknown }>;

const routes = Object.entries(routeAccess);

/** Called with a signature instead of a key. */
export const signedOnly = ['PUT /templates/:templateID/files/:hash'];
/** Shows a form instead of refusing. */
export const pages = ['GET /dashboard/inspect/sandbox/:sandboxID'];

/** Every route that a key opens, by the table. */
export const keyed = routes.filter(
  (entry): entry is [string, Keyed] => !('keyless' in entry[1]) && ![...signedOnly, ...pages].includes(entry[0]),
);

/** Every route that a key does not open. */
export function keylessFor(who: Keyless['keyless']): string[] {
  return routes.flatMap(([route, access]) => ('keyless' in access && access.keyless === who ? [route] : []));
}

/** Not available yet. */
export const later =
  /^(?:POST \/templates(?:\/:templateID(?:\/builds\/:buildID)?)?|GET \/teams\/:teamID\/metrics\/max)$/;

/** The `code` of an error: E2B's content API of volumes has a text. */
export const codeOf = (route: string, status: number, reason: string): number | string =>
  route.includes(' /volumecontent/') ? reason : status;

/** Whether a caller was let in. */
export const isDone = (status: number): boolean => status < 400 || status === 409 || status === 501;
