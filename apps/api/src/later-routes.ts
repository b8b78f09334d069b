import { SoulBoxError } from '@soulbox/base';
import type { HTTPMethods } from 'fastify';
import type { ApiApp } from './http/app.ts';
import { errors } from './http/schemas.ts';

/** Documented routes of the E2B API that this version does not offer: what they are called, method and path. */
const laterRoutes: readonly (readonly [name: string, tag: string, method: HTTPMethods, path: string])[] = [
  ['Changing the network of a running sandbox', 'sandboxes', 'PUT', '/sandboxes/:sandboxID/network'],
  ['Building templates', 'templates', 'POST', '/v3/templates'],
  ['Building templates', 'templates', 'POST', '/v2/templates'],
  ['Building templates', 'templates', 'POST', '/templates'],
  ['Building templates', 'templates', 'POST', '/templates/:templateID'],
  ['Building templates', 'templates', 'POST', '/templates/:templateID/builds/:buildID'],
  ['Building templates', 'templates', 'POST', '/v2/templates/:templateID/builds/:buildID'],
  ['Building templates', 'templates', 'GET', '/templates/:templateID/files/:hash'],
  ['Building templates', 'templates', 'GET', '/templates/:templateID/builds/:buildID/status'],
  ['Building templates', 'templates', 'GET', '/templates/:templateID/builds/:buildID/logs'],
  ['Template tags', 'templates', 'POST', '/templates/tags'],
  ['Template tags', 'templates', 'DELETE', '/templates/tags'],
  ['Template tags', 'templates', 'GET', '/templates/:templateID/tags'],
  ['The paged list of templates', 'templates', 'GET', '/v2/templates'],
  ['The details of a template', 'templates', 'GET', '/templates/:templateID'],
  ['Changing templates', 'templates', 'PATCH', '/v2/templates/:templateID'],
  ['Changing templates', 'templates', 'PATCH', '/templates/:templateID'],
  ['Listing volumes', 'volumes', 'GET', '/volumes'],
  ['Making volumes', 'volumes', 'POST', '/volumes'],
  ['Reading volumes', 'volumes', 'GET', '/volumes/:volumeID'],
  ['Deleting volumes', 'volumes', 'DELETE', '/volumes/:volumeID'],
  ['Listing secrets', 'secrets', 'GET', '/secrets'],
  ['Making secrets', 'secrets', 'POST', '/secrets'],
  ['Reading secrets', 'secrets', 'GET', '/secrets/:secretID'],
  ['Changing secrets', 'secrets', 'POST', '/secrets/:secretID'],
  ['Deleting secrets', 'secrets', 'DELETE', '/secrets/:secretID'],
  ['Peak figures of a team', 'teams', 'GET', '/teams/:teamID/metrics/max'],
];

/** Each answers 501 in the error form of all others, after the key was checked. */
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
