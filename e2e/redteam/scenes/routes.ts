import type { World } from '../world.ts';
import { ask } from './raw.ts';
import type { RawAnswer } from './raw.ts';

/** A route of the API as in its OpenAPI document. */
export interface Route {
  readonly method: string;
  /** With placeholders such as `{sandboxID}`. */
  readonly path: string;
}

/** Bodies that the routes accept, so that a refusal is due to something else. */
const bodies: readonly (readonly [form: RegExp, body: object])[] = [
  [/\/(timeout|connect|resume)$/, { timeout: 60 }],
  [/\/refreshes$/, { duration: 60 }],
  [/\/fork$/, { count: 1, timeout: 60 }],
  [/\/run$/, { code: 'true', language: 'bash' }],
  [/^\/(v2\/|v3\/)?templates\/[^/]+$/, { public: true }],
  [/^\/api-keys\/[^/]+$/, { name: 'taken' }],
  [/\/budgets$/, { budgets: [] }],
  [/\/limits$/, { sandboxes: 1 }],
  [/^\/events\/webhooks\/[^/]+$/, { name: 'taken' }],
  [/^\/buckets\/[^/]+$/, { readOnly: true }],
  [/\/tags$/, { target: 'base', names: ['x'], tags: ['x'] }],
];

export async function listRoutes({ target }: World): Promise<Route[]> {
  const { body } = await ask(target.port, '/openapi.json');
  const { paths } = JSON.parse(body) as { paths: Record<string, Record<string, unknown>> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path })),
  );
}

/** Calls a route with this path, and with a body where it needs one. */
export async function callRoute(world: World, method: string, path: string, apiKey: string): Promise<RawAnswer> {
  const withBody = ['POST', 'PATCH', 'PUT'].includes(method);
  const body = bodies.find(([form]) => form.test(path))?.[1] ?? {};
  return await ask(world.target.port, path, {
    method,
    headers: { 'x-api-key': apiKey, ...(withBody ? { 'content-type': 'application/json' } : {}) },
    ...(withBody ? { body: JSON.stringify(body) } : {}),
  });
}
