import type { DescMessage, DescMethod, DescService, Message, MessageShape } from '@bufbuild/protobuf';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError, createContextValues } from '@connectrpc/connect';
import type { CallOptions, ContextValues, Transport, UnaryRequest } from '@connectrpc/connect';
import { runStreamingCall, runUnaryCall } from '@connectrpc/connect/protocol';
import { callFields, withSpan } from '@soulbox/base';
import { encodeFields } from './call-fields.ts';
import { openCaller } from './caller.ts';
import type { Caller } from './caller.ts';
import type { CallFrame } from './frame.ts';
import { messageMaxBytes } from './limits.ts';
import { pathOf, spanOf } from './method-table.ts';
import { readStream } from './read-stream.ts';

/**
 * Calls another process of this host over its Unix socket (spec/rpc.md). One connection serves all unary calls and is
 * reopened after it broke; each stream has a connection of its own. If the process is away or ends in the middle of a
 * call, the call fails at once with `Code.Unavailable`: nothing here waits or retries. Besides the header fields of a call,
 * those are sent that say on whose behalf this process calls: `traceparent` and `x-request-id`.
 */
export function createSocketTransport(path: string): Transport {
  let shared: Caller | undefined;
  const getShared = (): Caller => {
    const opened = (shared ??= openCaller(path, () => {
      if (shared === opened) shared = undefined;
    }));
    return opened;
  };

  return {
    async unary(method, signal, timeoutMs, header, input, contextValues) {
      return await runUnaryCall({
        ...endsOf(signal, timeoutMs),
        req: { ...requestOf(method, header, contextValues), stream: false, method, message: input },
        next: async ({ message, header: fields, signal: ended }) => {
          const answer = await withSpan({ ...spanOf(method), kind: 'client', needsParent: true }, async () => {
            const frame = frameOf(method, message, fields, timeoutMs);
            return await ask(getShared(), method.output, frame, ended);
          });
          return { ...answerOf(method), stream: false, method, message: answer };
        },
      });
    },
    async stream(method, signal, timeoutMs, header, input, contextValues) {
      return await runStreamingCall({
        ...endsOf(signal, timeoutMs),
        req: { ...requestOf(method, header, contextValues), stream: true, method, message: input },
        next: async ({ message, header: fields, signal: ended }) => {
          const frame = frameOf(method, await only(message), fields, timeoutMs);
          const answers = readStream(path, method.output, frame, ended);
          return { ...answerOf(method), stream: true, method, message: answers };
        },
      });
    },
  };
}

/** What may end a call early. */
function endsOf(signal: AbortSignal | undefined, timeoutMs: number | undefined): CallEnds {
  return { ...(signal === undefined ? {} : { signal }), ...(timeoutMs === undefined ? {} : { timeoutMs }) };
}

type CallEnds = Pick<CallOptions, 'signal' | 'timeoutMs'>;

/** What requests of both kinds say about their call. */
type CallFacts = Pick<UnaryRequest, 'service' | 'requestMethod' | 'url' | 'header' | 'contextValues'>;

function requestOf(method: DescMethod, header: unknown, contextValues?: ContextValues): CallFacts {
  return {
    service: method.parent,
    requestMethod: 'POST',
    url: pathOf(method),
    header: new Headers(header as ConstructorParameters<typeof Headers>[0]),
    contextValues: contextValues ?? createContextValues(),
  };
}

function answerOf(method: DescMethod): { service: DescService; header: Headers; trailer: Headers } {
  return { service: method.parent, header: new Headers(), trailer: new Headers() };
}

/** Throws `Code.InvalidArgument` for a message that is larger than any receiver accepts. */
function frameOf(method: DescMethod, message: Message, header: Headers, timeoutMs: number | undefined): CallFrame {
  const bytes = toBinary(method.input, message);
  const fields = encodeFields(new Map([...Object.entries(callFields()), ...header]));
  if (bytes.length <= messageMaxBytes)
    return { path: pathOf(method), timeoutMs, message: fields.length === 0 ? bytes : Buffer.concat([bytes, fields]) };
  throw new ConnectError(
    `The message has ${bytes.length} bytes, the limit is ${messageMaxBytes}.`,
    Code.InvalidArgument,
  );
}

async function ask<Output extends DescMessage>(
  caller: Caller,
  type: Output,
  frame: CallFrame,
  signal: AbortSignal,
): Promise<MessageShape<Output>> {
  signal.throwIfAborted();
  const bytes = await new Promise<Uint8Array>((resolve, reject) => {
    const cancel = caller.call(frame, {
      onMessage: resolve,
      onEnd: () => reject(new ConnectError('the call ended without a message', Code.Internal)),
      onError: reject,
    });
    signal.addEventListener('abort', () => {
      cancel();
      reject(signal.reason as Error);
    });
  });
  return fromBinary(type, bytes);
}

async function only<Item>(items: AsyncIterable<Item>): Promise<Item> {
  for await (const item of items) return item;
  throw new ConnectError('A stream of the server needs one request.', Code.Internal);
}
