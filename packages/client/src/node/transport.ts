import type { Agent } from 'node:http';
import type { Interceptor, Transport } from '@connectrpc/connect';
import { validateReadWriteMaxBytes } from '@connectrpc/connect/protocol';
import { createTransport as createConnectTransport } from '@connectrpc/connect/protocol-connect';
import { createTransport as createGrpcTransport } from '@connectrpc/connect/protocol-grpc';
import { compressionBrotli, compressionGzip, createNodeHttpClient } from '@connectrpc/connect-node';
import { createCallInterceptor } from '../core/connect-calls.ts';
import type { CallRules } from '../core/connect-calls.ts';
import type { Target } from '../core/target.ts';
import { withCallSignal } from './http2-pool.ts';
import type { Http2Pool } from './http2-pool.ts';
import { countReceived } from './received-bytes.ts';

export interface NodeTransportOptions extends CallRules {
  /** The origin of the server, with a path before those of the methods if it has one. */
  readonly baseUrl: string;
  /** The rules of calls. Absent: each call is one attempt, and nothing holds it back. */
  readonly target?: Target;
  /** How it connects: over HTTP/2, or over HTTP/1.1 with an agent of Node. */
  readonly over: Http2Pool | Agent;
  /** gRPC needs HTTP/2. */
  readonly protocol?: 'connect' | 'grpc';
  readonly format?: 'json' | 'binary';
  /** The maximum size of one message of the server. */
  readonly maxMessageBytes?: number;
  /** The timeout of a call that sets none, in milliseconds. Absent: no timeout. */
  readonly defaultTimeoutMs?: number;
  /** False: the server is asked not to compress, so that the limit counts the bytes that it sends. */
  readonly acceptsCompression?: boolean;
}

/** A transport of connect-node over the connections of this package. */
export function createNodeTransport(options: NodeTransportOptions): Transport {
  const { baseUrl, target, over, maxMessageBytes, defaultTimeoutMs, format = 'binary' } = options;
  const interceptors: Interceptor[] = target === undefined ? [] : [createCallInterceptor(target, options)];
  interceptors.push((next) => async (request) => await withCallSignal(request.signal, async () => await next(request)));
  const send = isPool(over)
    ? createNodeHttpClient({ httpVersion: '2', sessionProvider: () => over })
    : createNodeHttpClient({ httpVersion: '1.1', nodeOptions: { agent: over } });
  const settings = {
    baseUrl,
    httpClient: countReceived(send),
    useBinaryFormat: format === 'binary',
    interceptors,
    sendCompression: null,
    acceptCompression: options.acceptsCompression === false ? [] : [compressionGzip, compressionBrotli],
    ...validateReadWriteMaxBytes(maxMessageBytes, undefined, undefined),
    ...(defaultTimeoutMs === undefined ? {} : { defaultTimeoutMs }),
  };
  return options.protocol === 'grpc' && isPool(over) ? createGrpcTransport(settings) : createConnectTransport(settings);
}

function isPool(over: Http2Pool | Agent): over is Http2Pool {
  return 'notifyResponseByteRead' in over;
}
