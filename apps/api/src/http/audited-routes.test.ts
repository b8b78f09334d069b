import { fastify } from 'fastify';
import { expect, test } from 'vitest';
import { addRoutes } from '../routes.ts';
import type { ApiContext } from '../context.ts';
import { auditedRoutes } from './audited-routes.ts';

/** All routes that the API adds. Nothing is called: the context only has to have the members that are read at once. */
async function routesOfApi(): Promise<string[]> {
  const routes: string[] = [];
  const app = fastify();
  app.addHook('onRoute', ({ method, url }) => {
    routes.push(...[method].flat().map((name) => `${name} ${url}`));
  });
  app.setValidatorCompiler(() => () => true);
  app.setSerializerCompiler(() => () => '');
  const anything: unknown = new Proxy(() => undefined, {
    get: (_, name) => (name === 'then' ? undefined : anything),
    apply: () => anything,
  });
  await addRoutes(app, anything as ApiContext);
  await app.ready();
  return [...new Set(routes)].filter((route) => !route.startsWith('HEAD ')).sort();
}

test('every route of the API says how it is recorded, and nothing else does', async () => {
  expect(Object.keys(auditedRoutes).sort()).toEqual(await routesOfApi());
});

test('only reading, uploads by signed link and pages are not recorded', () => {
  const unrecorded = Object.entries(auditedRoutes).filter(([, { how }]) => how === 'none');
  const changing = unrecorded.map(([route]) => route).filter((route) => !route.startsWith('GET '));
  // These act for no team; the others are not available yet and return 501. What a person does is recorded by its room,
  // and uses of volumes are counted by theirs.
  expect(
    changing.filter(
      (route) => !/ (?:\/templates|\/templates\/:templateID|\/templates\/:templateID\/builds\/:buildID)$/.test(route),
    ),
  ).toEqual([
    'POST /dashboard/inspect/sandbox/:sandboxID',
    'POST /dashboard/sign-out',
    'POST /host/backup-stage',
    'POST /volumecontent/:volumeID/dir',
    'PATCH /volumecontent/:volumeID/path',
    'DELETE /volumecontent/:volumeID/path',
    'POST /volumecontent/:volumeID/rename',
    'PUT /volumecontent/:volumeID/file',
    'DELETE /auth/session',
    'POST /auth/sign-out',
    'POST /auth/backchannel-logout',
    'POST /personal-tokens',
    'DELETE /personal-tokens/:tokenID',
    'POST /personal-ssh-keys',
    'DELETE /personal-ssh-keys/:sshKeyID',
    'POST /auth/device-code',
    'POST /auth/device',
    'POST /auth/token',
    'POST /auth/revoke',
    'POST /docs/api/cli',
  ]);
});

test('only ending, pausing and reading are possible without a record', () => {
  const always = Object.entries(auditedRoutes).filter(([, { how }]) => how === 'always');
  expect(always.map(([route]) => route)).toEqual(['DELETE /sandboxes/:sandboxID', 'POST /sandboxes/:sandboxID/pause']);
});
