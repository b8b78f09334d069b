import type { DescMessage, DescMethod, DescService, Message, MessageShape } from '@bufbuild/protobuf';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError, createContextValues } from '@connectrpc/connect';
import type { CallOptions, ContextValues, Transport, UnaryRequest } from '@connectrpc/connect';
import { runStreamingCall, runUnaryCall } from '@connectrpc/connect/protocol';
import { openCaller } from './caller.ts';
import type { Caller } from './caller.ts';
import type { CallFrame } from './frame.ts';
import { messageMaxBytes } from './limits.ts';
import { pathOf } from './method-table.ts';
import { readStream } from './read-stream.ts';

/**
 * Calls another process of this host over its Unix socket (spec/rpc.md). One connection serves all unary calls and is
 * reopened after it broke; each stream has a connection of its own. If the process is away or ends in the middle of a
 * call, the call fails at once with `Code.Unavailable`: nothing here waits or retries. Header fields are not sent.
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
    async unary(method, signal, timeoutMs, _header, input, contextValues) {
      return await runUnaryCall({
        ...endsOf(signal, timeoutMs),
        req: { ...requestOf(method, contextValues), stream: false, method, message: input },
        next: async ({ message, signal: ended }) => {
          const answer = await ask(getShared(), method.output, frameOf(method, message, timeoutMs), ended);
          return { ...answerOf(method), stream: false, method, message: answer };
        },
      });
    },
    async stream(method, signal, timeoutMs, _header, input, contextValues) {
      return await runStreamingCall({
        ...endsOf(signal, timeoutMs),
        req: { ...requestOf(method, contextValues), stream: true, method, message: input },
        next: async ({ message, signal: ended }) => {
          const frame = frameOf(method, await only(message), timeoutMs);
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

function requestOf(method: DescMethod, contextValues?: ContextValues): CallFacts {
  return {
    service: method.parent,
    requestMethod: 'POST',
    url: pathOf(method),
    header: new Headers(),
    contextValues: contextValues ?? createContextValues(),
  };
}

function answerOf(method: DescMethod): { service: DescService; header: Headers; trailer: Headers } {
  return { service: method.parent, header: new Headers(), trailer: new Headers() };
}

/** Throws `Code.InvalidArgument` for a message that is larger than any receiver accepts. */
function frameOf(method: DescMethod, message: Message, timeoutMs: number | undefined): CallFrame {
  const bytes = toBinary(method.input, message);
  if (bytes.length <= messageMaxBytes) return { path: pathOf(method), timeoutMs, message: bytes };
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
