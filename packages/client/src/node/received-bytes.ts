import type { UniversalClientFn } from '@connectrpc/connect/protocol';
import { countForMinorGc } from '@soulbox/base/minor-gc';

/** The same client. What it receives is counted, so that buffers of fast streams are freed in time. */
export function countReceived(send: UniversalClientFn): UniversalClientFn {
  return async (request) => {
    const response = await send(request);
    return { ...response, body: counted(response.body) };
  };
}

/** Passes on `throw` and `return` only if the source has them, because connect looks for them. */
function counted(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const source = body[Symbol.asyncIterator]();
      return {
        async next() {
          const result = await source.next();
          if (result.done !== true) countForMinorGc(result.value.byteLength);
          return result;
        },
        ...(source.throw === undefined ? {} : { throw: source.throw.bind(source) }),
        ...(source.return === undefined ? {} : { return: source.return.bind(source) }),
      };
    },
  };
}
