import type { FastifyReply, FastifyRequest } from 'fastify';
import { answerBrokenRequest } from './raw-error.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `upload`: the body may take as long as Node allows any request. */
    body?: 'upload';
  }
}

/** Ends a request whose body has not arrived completely in time. Node's own limit is the same for all routes. */
export function limitBodyTime(request: FastifyRequest, reply: FastifyReply, timeoutMs: number): void {
  const { raw } = request;
  if (raw.complete) return;
  const late = setTimeout(() => {
    if (raw.complete) return;
    if (reply.raw.headersSent) raw.socket.destroy();
    else answerBrokenRequest(Object.assign(new Error(), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), raw.socket);
  }, timeoutMs);
  raw.once('close', () => clearTimeout(late));
}
