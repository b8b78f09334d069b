import { SoulBoxError } from '@soulbox/base';
import type { HTTPMethods } from 'fastify';
import type { ApiApp } from './http/app.ts';
import { errors } from './http/schemas.ts';

/** Documented routes of the E2B API that this version does not offer: name, tag, method and path. */
const laterRoutes: readonly (readonly [name: string, tag: string, method: HTTPMethods, path: string])[] = [
  ['Building templates with docker push', 'templates', 'POST', '/templates'],
  ['Building templates with docker push', 'templates', 'POST', '/templates/:templateID'],
  ['Building templates with docker push', 'templates', 'POST', '/templates/:templateID/builds/:buildID'],
  ['Peak metrics of a team', 'teams', 'GET', '/teams/:teamID/metrics/max'],
];

/** Each responds with 501 in the common error form, after the key was checked. */
export function addLaterRoutes(app: ApiApp): void {
  for (const [name, tag, method, url] of laterRoutes) {
    const message = `${name} is not available in this version of SoulBox.`;
    app.route({
      method,
      url,
      schema: { tags: [tag], summary: `${name} (not available yet)`, description: message, response: errors(501) },
      handler: () => {
        throw new SoulBoxError('not_implemented', message);
      },
    });
  }
}
