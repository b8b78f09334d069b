/** A route of the API as in its OpenAPI document. */
export interface Route {
  readonly method: string;
  /** With placeholders such as `{sandboxID}`. */
  readonly path: string;
}

type Body = Readonly<Record<string, unknown>>;

/** Bodies of routes that need one. Other routes are called without a body. */
const bodies: Readonly<Record<string, Body>> = {
  'POST /sandboxes/{sandboxID}/timeout': { timeout: 600 },
  'POST /sandboxes/{sandboxID}/refreshes': { duration: 600 },
  'POST /sandboxes/{sandboxID}/connect': { timeout: 600 },
  'POST /v2/sandboxes/{sandboxID}/connect': { timeout: 600 },
  'POST /sandboxes/{sandboxID}/resume': { timeout: 600 },
  'POST /sandboxes/{sandboxID}/fork': { timeout: 60, count: 1 },
  'POST /sandboxes/{sandboxID}/run': { code: 'echo on', language: 'bash' },
  'POST /snapshots/{snapshotID}/fork': { timeout: 60, count: 1 },
};

/** Routes whose changes concern no sandbox, or more than one case. Their reads are tried, too. */
const left: readonly RegExp[] = [
  /^\/api-keys/,
  /^\/teams/,
  /^\/events\/webhooks/,
  /^\/functions/,
  /^\/kv/,
  /\/templates/,
  /^\/v2\/templates/,
];

/** Routes that end the sandbox if they succeed. */
export function ends({ method, path }: Route): boolean {
  return method === 'DELETE' && path === '/sandboxes/{sandboxID}';
}

export function bodyOf({ method, path }: Route): Body | undefined {
  return bodies[`${method} ${path}`];
}

/** Every route of the server's OpenAPI document that reads, or that changes a sandbox or a snapshot. */
export async function listRoutes(apiUrl: string): Promise<Route[]> {
  const response = await fetch(`${apiUrl}/openapi.json`);
  const { paths } = (await response.json()) as { paths: Record<string, Record<string, unknown>> };
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path })),
  );
  // A create is not a call about a sandbox. The cases make some hundred creates anyway.
  return routes.filter(
    ({ method, path }) =>
      !(method !== 'GET' && left.some((form) => form.test(path))) &&
      !(method === 'POST' && /^(\/v2)?\/sandboxes$/.test(path)),
  );
}
