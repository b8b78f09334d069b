import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Interceptor } from '@connectrpc/connect';
import { ConnectError } from '@connectrpc/connect';
import { compressionGzip, connectNodeAdapter } from '@connectrpc/connect-node';
import { errorFromUnknown, isNodeError, SoulBoxError } from '@soulbox/base';
import { connectErrorFromError } from '@soulbox/contract/connect-errors';
import { Filesystem } from '@soulbox/contract/filesystem';
import { Process } from '@soulbox/contract/process';
import { ProcessService } from '@soulbox/contract/process-v1';
import type { Context } from './context.ts';
import { fileMethods } from './filesystem/file-methods.ts';
import { processService } from './process/process-service.ts';
import { contextOf, sendOutputsBeside } from './streams/output-frames.ts';
import { streamService } from './streams/stream-service.ts';
import { refuseUnknownFields } from './streams/unknown-fields.ts';
import { watchMethods } from './watch/watch-methods.ts';

/** The maximum size of one message. The official command line sends input in pieces of 64 KiB. */
const maxMessageBytes = 16 * 1024 * 1024;
/** The time for a complete message to arrive: 16 MiB at 28 KiB/s. */
const bodyTimeoutMs = 600_000;
/** The calls whose clients may continue to send. */
const inputStreamPaths: readonly string[] = [
  `/${Process.typeName}/${Process.method.streamInput.name}`,
  `/${ProcessService.typeName}/${ProcessService.method.interact.name}`,
];
/** Timers have 31 bits of milliseconds (24.8 days). A longer deadline would fire at once. */
const maxTimeoutMs = 2 ** 31 - 1;

const ownPrefix = `/${ProcessService.typeName}/`;

const services = [Process, Filesystem, ProcessService] as const;
/** They are loaded at the first call, because most sandboxes never get one. */
const healthPrefix = '/grpc.health.v1.Health/';
const reflectionPrefix = '/grpc.reflection.v1.ServerReflection/';

/** Older programs only know this name. The messages are the same. */
const olderReflection = '/grpc.reflection.v1alpha.ServerReflection/';

export const rpcPrefixes = [
  ...services.map(({ typeName }) => `/${typeName}/`),
  ...[healthPrefix, reflectionPrefix, olderReflection],
];

/** Begins to serve a call. Throws an error for a request that is none. */
type RpcHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** Serves all services in Connect, gRPC and gRPC-Web. */
export function createRpcHandler(context: Context): RpcHandler {
  const common = {
    readMaxBytes: maxMessageBytes,
    acceptCompression: [compressionGzip],
    interceptors: [translateErrors(context)],
  };
  const handler = connectNodeAdapter({
    ...common,
    routes: (router) => {
      router.service(Process, processService(context));
      router.service(Filesystem, { ...fileMethods(context), ...watchMethods(context) });
    },
  });
  const ownHandler = connectNodeAdapter({
    ...common,
    // Compression limits fast output, and saves little of small output. Requests may be compressed.
    compressMinBytes: Number.MAX_SAFE_INTEGER,
    routes: (router) => void router.service(ProcessService, streamService(context)),
    interceptors: [translateErrors(context), refuseUnknownFields],
    jsonOptions: { ignoreUnknownFields: false },
    contextValues: contextOf,
  });
  let introspection: Promise<typeof handler> | undefined;
  const loadIntrospection = async (): Promise<typeof handler> =>
    (await import('./introspection/introspection-handler.ts')).createIntrospectionHandler(services, common);
  return async (request, response) => {
    const timeout = request.headers['connect-timeout-ms'];
    if (timeout !== undefined && Number(timeout) > maxTimeoutMs)
      request.headers['connect-timeout-ms'] = String(maxTimeoutMs);
    if (request.url?.startsWith(olderReflection) === true)
      request.url = reflectionPrefix + request.url.slice(olderReflection.length);
    const path = request.url ?? '';
    if (!inputStreamPaths.includes(path)) limitBodyTime(request);
    if (path.startsWith(ownPrefix)) {
      checkConnectVersion(request);
      sendOutputsBeside(request, response);
      ownHandler(request, response);
    } else if (path.startsWith(healthPrefix) || path.startsWith(reflectionPrefix)) {
      const introspect = await (introspection ??= loadIntrospection());
      introspect(request, response);
    } else handler(request, response);
  };
}

/** Clients of process.Process may send anything, as with E2B. */
function checkConnectVersion(request: IncomingMessage): void {
  const version = request.headers['connect-protocol-version'];
  if (version !== undefined && version !== '1')
    throw new SoulBoxError('bad_request', 'This version of envd only serves version 1 of the Connect protocol.');
}

function limitBodyTime(request: IncomingMessage): void {
  const timer = setTimeout(() => request.destroy(), bodyTimeoutMs);
  request.once('end', () => clearTimeout(timer));
  request.once('close', () => clearTimeout(timer));
}

/** Translates all errors of RPCs to Connect errors. Unknown ones are logged, unless their caller has gone. */
function translateErrors(context: Context): Interceptor {
  const translate = (thrown: unknown, { aborted }: AbortSignal): ConnectError => {
    if (thrown instanceof ConnectError) return thrown;
    const error = errorFromUnknown(thrown);
    if (error.reason === 'internal' && !aborted) {
      context.log.record('error', 'rpc', 'Call failed', {
        cause: isNodeError(error.cause) ? error.cause.message : String(error.cause),
      });
    }
    return connectErrorFromError(error);
  };
  return (next) => async (request) => {
    try {
      const response = await next(request);
      if (!response.stream) return response;
      const translateLater = (thrown: unknown): ConnectError => translate(thrown, request.signal);
      return { ...response, message: translateStream(response.message, translateLater) };
    } catch (thrown) {
      throw translate(thrown, request.signal);
    }
  };
}

async function* translateStream<T>(
  messages: AsyncIterable<T>,
  translate: (thrown: unknown) => Error,
): AsyncIterable<T> {
  try {
    yield* messages;
  } catch (thrown) {
    throw translate(thrown);
  }
}
