import { fastify } from 'fastify';
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, RawServerDefault } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SoulBoxError } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { authenticate } from '../auth/authenticate.ts';
import { permitRoute } from '../auth/permit.ts';
import type { ApiContext } from '../context.ts';
import { bodyBytesMax, pathSegmentMax, uploadMs } from '../limits.ts';
import { actAs, addressOf } from '../actor.ts';
import { collectAllowedMethods } from './allowed-methods.ts';
import { limitBodyTime } from './body-time.ts';
import { endStreams } from './end-streams.ts';
import { takeFairTurns } from './fair-turns.ts';
import { answerError } from './error-answer.ts';
import { collectSignableRoutes } from './signable-routes.ts';
import { schemaCompilers } from './schema-compilers.ts';
import { recordRequests } from './audit-requests.ts';
import { needsRoom } from './needs-room.ts';
import { protectiveHeaders } from './protective-headers.ts';
import { answerBrokenRequest } from './raw-error.ts';
import { withWholeName } from './whole-names.ts';
import { keepTimings, serverTiming } from '../timings.ts';
import { createRequestRates } from './request-rates.ts';
import { logRequest, requestIdFrom, startRequest } from './request-log.ts';
import { traceRequest } from './trace-request.ts';

/** A fastify server whose routes are typed by their zod schemas. */
export type ApiApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** Idle connections from the gateway are kept this long; the gateway keeps them for a shorter time. Milliseconds. */
const keepAliveTimeoutMs = 75_000;

/** Creates the server without routes: limits, authentication, error form, request log. Routes are added afterwards. */
export async function createApp(context: ApiContext): Promise<ApiApp> {
  const requestTimeoutMs = context.config.requestTimeoutSeconds * 1000;
  const app = fastify({
    logger: false,
    schemaController: { compilersFactory: schemaCompilers },
    bodyLimit: bodyBytesMax,
    // For uploads. Other bodies have less time, see limitBodyTime.
    requestTimeout: uploadMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: pathSegmentMax },
    // Interval of the check for late requests. The default of 30 s would make the limit imprecise.
    http: { headersTimeout: requestTimeoutMs, connectionsCheckingInterval: 1000 },
    genReqId: (request) => requestIdFrom(request.headers[headers.requestId]),
    rewriteUrl: ({ method = '', url = '' }) => withWholeName(method, url),
    clientErrorHandler: answerBrokenRequest,
    // Hooks do not run for paths that the router refuses.
    frameworkErrors: (error, request, reply) => {
      void reply.headers(protectiveHeaders);
      answerError(error, request, reply, context);
      logRequest(request, reply, context);
    },
  }).withTypeProvider<ZodTypeProvider>();

  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.decorateRequest('caller', null);
  app.decorateRequest('isOperator', false);
  app.decorateRequest('signedBy', null);
  app.decorateRequest('person', null);
  readJsonOnly(app);
  const allowed = collectAllowedMethods(app);
  collectSignableRoutes(app);
  const rates = await createRequestRates(app, context.config);

  takeFairTurns(app);
  app.addHook('onRequest', (request, reply, done) => {
    const proceed = wantsTimings(request) ? () => keepTimings(done) : done;
    const { run, traceId } = traceRequest(request, reply);
    run(() => actAs({ requestId: request.id, ...traceId, address: addressOf(request), by: undefined }, proceed));
  });
  app.addHook('onRequest', async (request, reply) => {
    startRequest(request, reply);
    void reply.headers(protectiveHeaders);
    if (request.routeOptions.config.body !== 'upload') limitBodyTime(request, reply, requestTimeoutMs);
    if (context.stopping.aborted) throw new SoulBoxError('shutting_down', 'The server is stopping. Retry in a moment.');
    // A probe must see that the server is alive, even when its address has used up its rate.
    if (request.routeOptions.url !== '/health') await rates.checkAddress(request, reply);
    await authenticate(request, reply, context);
    permitRoute(request);
    // Strangers with a signed URL must not use up the rate of its key.
    if (request.caller !== null && !request.signedBy) {
      await rates.checkKey(request, reply);
      if (request.caller !== undefined) await context.quotas.takeRequest(request.caller.team.id);
    }
    if (needsRoom(request)) context.reserve.check();
  });
  recordRequests(app, context);
  endStreams(app, context);
  app.addHook('onSend', (_request, reply, payload, done) => {
    // An open keep-alive connection would delay the stop until the client closes it.
    if (context.stopping.aborted) void reply.header('connection', 'close');
    const timing = serverTiming();
    if (timing !== undefined) void reply.header('server-timing', timing);
    done(null, payload);
  });
  app.addHook('onResponse', (request, reply, done) => {
    logRequest(request, reply, context);
    done();
  });
  app.setErrorHandler((thrown, request, reply) => answerError(thrown, request, reply, context));
  app.setNotFoundHandler((request, reply) => {
    const methods = allowed.of(request.url);
    if (methods.length === 0) throw new SoulBoxError('route_not_found', 'The route was not found.');
    void reply.header('allow', methods.join(', '));
    throw new SoulBoxError('method_not_allowed', `The method ${request.method} is not allowed for this route.`);
  });
  return app;
}

/** `?timings=1`, on any route. */
function wantsTimings({ query }: FastifyRequest): boolean {
  return typeof query === 'object' && query !== null && 'timings' in query && query.timings === '1';
}

/** Accepts only JSON. An empty body counts as no body, because some clients send a content type with it. */
function readJsonOnly(app: ApiApp): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else
      void parse(request, body as string, (error, value) => {
        if (error === null) done(null, value);
        else done(new SoulBoxError('bad_request', 'The request body is not valid JSON.', { cause: error }));
      });
  });
}
