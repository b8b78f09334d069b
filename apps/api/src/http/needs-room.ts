import type { FastifyRequest } from 'fastify';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `own`: the route itself determines or checks how much disk space the call needs. */
    room?: 'own';
  }
}

const beginning: readonly string[] = ['POST', 'PUT', 'PATCH'];

/**
 * Whether a call may use space on the server's disk. Without free space it is then refused before anything has changed.
 * Reads always work, and deletes use the reserve.
 */
export function needsRoom({ is404, method, routeOptions }: FastifyRequest): boolean {
  return !is404 && beginning.includes(method) && routeOptions.config.room !== 'own';
}
