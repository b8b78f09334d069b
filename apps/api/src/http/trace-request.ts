import { findTraceContext, openCall } from '@soulbox/base';
import type { OpenCall } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import type { FastifyReply, FastifyRequest } from 'fastify';

/**
 * Begins the span of a request, in the trace of its caller if that names one. The response names the trace, as errors
 * must. A span has the route, never the path, which may contain text that the caller typed by mistake.
 */
export function traceRequest(
  request: FastifyRequest,
  reply: FastifyReply,
): { readonly run: OpenCall['run']; readonly traceId: { readonly traceId?: string } } {
  const { method } = request;
  const route = request.routeOptions.url ?? 'none';
  const call = openCall({
    requestId: request.id,
    parent: findTraceContext(request.headers.traceparent),
    name: `${method} ${route}`,
    attributes: { 'http.request.method': method, 'http.route': route },
  });
  // A streamed response has up to eleven owners who wait for its end; Node would take ten for a leak.
  reply.raw.setMaxListeners(20);
  // `close` also comes when the client leaves early, unlike the hooks for responses.
  reply.raw.once('close', () => {
    const { statusCode } = reply;
    call.set({ 'http.response.status_code': statusCode });
    if (!reply.raw.writableFinished) call.end('aborted');
    else call.end(statusCode >= 500 ? String(statusCode) : undefined);
  });
  if (call.trace === undefined) return { run: call.run, traceId: {} };
  void reply.header(headers.traceId, call.trace.traceId);
  return { run: call.run, traceId: { traceId: call.trace.traceId } };
}
