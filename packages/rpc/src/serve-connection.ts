import { once } from 'node:events';
import type { Socket } from 'node:net';
import { Code, ConnectError, createHandlerContext } from '@connectrpc/connect';
import type { MethodImplSpec } from '@connectrpc/connect';
import { findTraceContext, serveCall } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { encodeError } from './error-payload.ts';
import { createFrameReader, decodeCall, encodeFrame, FrameError, frameKind } from './frame.ts';
import type { CallFrame, Frame } from './frame.ts';
import { maxCallsPerConnection, unreadMaxBytes } from './limits.ts';
import { spanOf } from './method-table.ts';
import type { MethodTable } from './method-table.ts';
import { decodeRequest, runCall } from './run-call.ts';

export interface ServedConnection {
  /** Bytes of a frame that has not arrived completely. */
  readonly heldBytes: number;
  /** Closes the connection as soon as no call is in progress. */
  drain(): void;
}

type RunningCall = ReturnType<typeof createHandlerContext>;

interface ConnectionOptions {
  readonly methods: MethodTable;
  readonly logger: Logger;
  /** Throws if the door holds too much of incomplete frames. */
  readonly checkHeld: () => void;
}

/** Serves the calls that arrive on one connection. A peer that breaks the protocol is disconnected. */
export function serveConnection(socket: Socket, { methods, logger, checkHeld }: ConnectionOptions): ServedConnection {
  const calls = new Map<number, RunningCall>();
  let isDraining = false;

  const send = (kind: number, call: number, payload?: Uint8Array): void => {
    if (socket.destroyed) return;
    // A peer that does not read its answers gets no further ones to ask for.
    if (!socket.write(encodeFrame(kind, call, payload))) socket.pause();
    if (socket.writableLength > unreadMaxBytes) socket.destroy(new Error('the peer does not read its responses'));
  };
  const handle = async (call: number, frame: CallFrame): Promise<void> => {
    const spec = methods.get(frame.path);
    if (spec === undefined) throw new ConnectError(`There is no method ${frame.path} here.`, Code.Unimplemented);
    const { request, header } = decodeRequest(spec, frame.message);
    const context = createContext(spec, frame, header);
    calls.set(call, context);
    const answers = {
      send: (kind: number, payload?: Uint8Array) => send(kind, call, payload),
      drained: async () => {
        if (socket.writableNeedDrain) await once(socket, 'drain', { signal: context.signal });
      },
    };
    try {
      await continueTrace(spec, header, async () => await runCall(spec, request, context, answers));
    } finally {
      calls.delete(call);
      // A handler may have left listeners for the end of its call.
      context.abort();
    }
  };

  const begin = (call: number, frame: CallFrame): void => {
    if (calls.has(call)) throw new FrameError('a number of a call is in use');
    if (isDraining || calls.size >= maxCallsPerConnection) {
      send(frameKind.error, call, encodeError(isDraining ? stopping() : tooManyCalls()));
      return;
    }
    void handle(call, frame)
      .catch((thrown: unknown) => {
        if (isDefect(thrown)) logger.error({ err: thrown, method: frame.path }, 'call of a process failed');
        send(frameKind.error, call, encodeError(thrown));
      })
      .then(() => {
        if (isDraining && calls.size === 0) socket.end();
      });
  };

  const accept = ({ kind, call, payload }: Frame): void => {
    if (kind === frameKind.call) begin(call, decodeCall(payload));
    else if (kind === frameKind.cancel) calls.get(call)?.abort(new ConnectError('canceled', Code.Canceled));
    else throw new FrameError(`a frame has kind ${kind}`);
  };

  const reader = createFrameReader(accept);
  socket.on('data', (chunk: Buffer) => {
    try {
      reader.push(chunk);
      if (reader.heldBytes > 0) checkHeld();
    } catch (thrown) {
      socket.destroy(thrown instanceof Error ? thrown : undefined);
    }
  });
  socket.on('drain', () => socket.resume());
  socket.on('error', (err) => logger.debug({ err }, 'connection of a process broke'));
  socket.once('close', () => {
    for (const context of calls.values()) context.abort(new ConnectError('the caller is gone', Code.Canceled));
  });
  return {
    get heldBytes() {
      return reader.heldBytes;
    },
    drain() {
      isDraining = true;
      if (calls.size === 0) socket.end();
    },
  };
}

function createContext({ method }: MethodImplSpec, { path, timeoutMs }: CallFrame, header: Headers): RunningCall {
  const names = { service: method.parent, method, protocolName: 'frames', requestMethod: 'POST', url: path };
  return createHandlerContext({
    ...{ ...names, requestHeader: header },
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
}

/** What the process does for a call belongs to the trace and to the request of its caller, if that named them. */
async function continueTrace(spec: MethodImplSpec, header: Headers, work: () => Promise<void>): Promise<void> {
  const parent = findTraceContext(header.get('traceparent'));
  const requestId = header.get('x-request-id') ?? undefined;
  if (parent === undefined && requestId === undefined) await work();
  else await serveCall({ ...spanOf(spec.method), parent, requestId }, work);
}

const stopping = (): ConnectError => new ConnectError('the process stops', Code.Unavailable);

const tooManyCalls = (): ConnectError =>
  new ConnectError(`More than ${maxCallsPerConnection} calls are in progress.`, Code.ResourceExhausted);

/** Whether a handler failed in another way than its service promises, or than by the end of its call. */
function isDefect(thrown: unknown): boolean {
  return !(thrown instanceof ConnectError) && !(thrown instanceof Error && thrown.name === 'AbortError');
}
