import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, Message, MessageInitShape } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import type { HandlerContext, MethodImplSpec } from '@connectrpc/connect';
import { takeFields } from './call-fields.ts';
import { frameKind } from './frame.ts';
import { messageMaxBytes } from './limits.ts';

/** The way back to the caller. */
interface Answers {
  readonly send: (kind: number, payload?: Uint8Array) => void;
  /** Waits until the caller has read most of what was sent. */
  readonly drained: () => Promise<void>;
}

/** Calls a handler and sends what it answers. Throws what it throws. */
export async function runCall(
  spec: MethodImplSpec,
  request: Message,
  context: HandlerContext,
  { send, drained }: Answers,
): Promise<void> {
  if (spec.kind === 'unary') {
    send(frameKind.answer, encodeMessage(spec, await spec.impl(request, context)));
    return;
  }
  if (spec.kind !== 'server_streaming') throw new ConnectError('Only responses can be streamed.', Code.Unimplemented);
  for await (const answer of spec.impl(request, context)) {
    if (context.signal.aborted) return;
    send(frameKind.message, encodeMessage(spec, answer));
    await drained();
  }
  send(frameKind.end);
}

/** The request message of a call, and its header fields. Throws `Code.InvalidArgument`. */
export function decodeRequest(
  { method }: MethodImplSpec,
  bytes: Uint8Array,
): { readonly request: Message; readonly header: Headers } {
  try {
    const request = fromBinary(method.input, bytes);
    return { request, header: takeFields(request) };
  } catch (cause) {
    throw new ConnectError(
      `The message is not a ${method.input.typeName}.`,
      Code.InvalidArgument,
      undefined,
      [],
      cause,
    );
  }
}

function encodeMessage({ method }: MethodImplSpec, message: MessageInitShape<DescMessage>): Uint8Array {
  const bytes = toBinary(method.output, create(method.output, message));
  if (bytes.length <= messageMaxBytes) return bytes;
  const sizes = `${bytes.length} bytes, the limit is ${messageMaxBytes}`;
  throw new ConnectError(`The message has ${sizes}.`, Code.ResourceExhausted);
}
