import type { FastifyRequest } from 'fastify';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `own`: what the call needs of the server's disk is found out, or checked, by itself. */
    room?: 'own';
  }
}

const beginning: readonly string[] = ['POST', 'PUT', 'PATCH'];

/**
 * Whether a call begins something that takes room on the server's disk: then it is refused before anything has changed when there
 * is none. Reading always works, and deleting has the reserve.
 */
export function needsRoom({ is404, method, routeOptions }: FastifyRequest): boolean {
  return !is404 && beginning.includes(method) && routeOptions.config.room !== 'own';
}
