import type { FastifyInstance } from 'fastify';

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * The route of this method and path, such as `GET /sandboxes/:sandboxID/logs`, if it can be called with a signed URL
     * instead of a key.
     */
    findSignable(method: string, path: string): string | undefined;
  }
}

/** Collects the routes with the rule `key-or-signature` that are added from now on. */
export function collectSignableRoutes(app: FastifyInstance): void {
  const routes: { readonly url: string; readonly methods: readonly string[]; readonly segments: readonly string[] }[] =
    [];
  app.addHook('onRoute', ({ url, method, config }) => {
    if (config?.auth === 'key-or-signature') routes.push({ url, methods: [method].flat(), segments: url.split('/') });
  });
  app.decorate('findSignable', (method: string, path: string) => {
    const segments = path.split('/');
    const found = routes.find(
      (route) =>
        route.methods.includes(method) &&
        route.segments.length === segments.length &&
        route.segments.every((part, index) =>
          part.startsWith(':') ? segments[index] !== '' : part === segments[index],
        ),
    );
    return found === undefined ? undefined : `${method} ${found.url}`;
  });
}
