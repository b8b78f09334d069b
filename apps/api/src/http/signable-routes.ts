import type { FastifyInstance } from 'fastify';

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether a route of this method and path can be called with a signed URL instead of a key. */
    canBeSigned(method: string, path: string): boolean;
  }
}

/** Collects the routes with the rule `key-or-signature` that are added from now on. */
export function collectSignableRoutes(app: FastifyInstance): void {
  const routes: { readonly methods: readonly string[]; readonly segments: readonly string[] }[] = [];
  app.addHook('onRoute', ({ url, method, config }) => {
    if (config?.auth === 'key-or-signature') routes.push({ methods: [method].flat(), segments: url.split('/') });
  });
  app.decorate('canBeSigned', (method: string, path: string) => {
    const segments = path.split('/');
    return routes.some(
      (route) =>
        route.methods.includes(method) &&
        route.segments.length === segments.length &&
        route.segments.every((part, index) =>
          part.startsWith(':') ? segments[index] !== '' : part === segments[index],
        ),
    );
  });
}
