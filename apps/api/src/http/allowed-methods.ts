import type { FastifyInstance } from 'fastify';

/** The methods that the route table has for a path. */
export interface AllowedMethods {
  /** Empty when no route has this path. */
  of(path: string): string[];
}

/** Collects the routes that are added from now on. A path with a wrong method is 405 for the caller, not 404. */
export function collectAllowedMethods(app: FastifyInstance): AllowedMethods {
  const table = new Map<string, { segments: string[]; methods: Set<string> }>();
  app.addHook('onRoute', ({ url, method }) => {
    const entry = table.get(url) ?? { segments: url.split('/'), methods: new Set<string>() };
    table.set(url, entry);
    for (const name of [method].flat()) entry.methods.add(name);
  });
  return {
    of: (path) => {
      const segments = (path.split('?')[0] ?? '').split('/');
      const matches = [...table.values()].filter(
        (route) =>
          route.segments.length === segments.length &&
          route.segments.every((part, index) =>
            part.startsWith(':') ? segments[index] !== '' : part === segments[index],
          ),
      );
      return [...new Set(matches.flatMap((route) => [...route.methods]))].sort();
    },
  };
}
