import { describeRequest } from './call-description.ts';
import { CallError, ownReasons } from './call-error.ts';
import { AttemptFailed, failureFromResponse } from './failure.ts';
import { releasingResponse } from './releasing-response.ts';
import type { RetryPolicy } from './retry-policy.ts';
import type { Slots } from './slots.ts';
import type { Target } from './target.ts';

export interface HttpCall {
  readonly method: string;
  /** The complete URL. */
  readonly url: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whole, because an attempt may have to send it again. */
  readonly body?: string | Uint8Array<ArrayBuffer>;
  /** As the server stores it. The call may then be repeated. The caller sends the header. */
  readonly idempotencyKey?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly retry?: RetryPolicy | undefined;
  readonly attemptTimeoutMs?: number | undefined;
  readonly redirect?: 'error' | 'follow' | 'manual';
  /** The maximum size of the response. Absent: not limited. */
  readonly maxAnswerBytes?: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export interface HttpCalls {
  /** Reads the whole response. Throws CallError, also for a status of 400 or more. */
  call(call: HttpCall): Promise<HttpAnswer>;
  /** The same, but the body of the response is still unread. It holds a slot until it is read or canceled. */
  open(call: HttpCall): Promise<Response>;
}

export type HttpCallsOptions = HttpCallsTarget &
  (
    | {
        /** Reads the error from the body of an unsuccessful response. */
        readonly readError: (status: number, text: string) => { readonly message: string; readonly reason?: string };
      }
    // A response with any status is an answer.
    | { readonly acceptsAnyStatus: true }
  );

interface HttpCallsTarget {
  readonly target: Target;
  /** Limit how many calls are in progress. */
  readonly slots?: Slots;
  /** The same for responses that are read piece by piece. Absent: `slots`. */
  readonly streamSlots?: Slots;
  readonly fetch?: typeof fetch;
}

/** Of an error response. Its text is for people. */
const maxErrorBytes = 64 * 1024;

/** Calls of an HTTP API with `fetch`, under the rules of a target. */
export function createHttpCalls(options: HttpCallsOptions): HttpCalls {
  const { target, slots, streamSlots = slots } = options;
  // Looked up for each call, because a global one can be replaced.
  const send: typeof fetch = options.fetch ?? (async (...request) => await fetch(...request));

  const request = async (call: HttpCall, signal: AbortSignal | undefined): Promise<Response> => {
    const response = await send(call.url, {
      method: call.method,
      ...(call.headers === undefined ? {} : { headers: { ...call.headers } }),
      ...(call.body === undefined ? {} : { body: call.body }),
      ...(call.redirect === undefined ? {} : { redirect: call.redirect }),
      ...(signal === undefined ? {} : { signal }),
    });
    if (response.ok || !('readError' in options)) return response;
    const text = await readText(response, maxErrorBytes, 'cut');
    const { status, headers } = response;
    throw new AttemptFailed(failureFromResponse({ status, headers, ...options.readError(status, text) }));
  };
  const run = async <T>(
    call: HttpCall,
    from: Slots | undefined,
    use: (response: Response, release: () => void) => Promise<T>,
  ): Promise<T> => {
    const { signal, retry, attemptTimeoutMs } = call;
    const description = describeRequest(call.method, new URL(call.url).pathname, call.idempotencyKey);
    return await target.call(
      description,
      async (attemptSignal) => {
        const release = await target.take(from, attemptSignal);
        try {
          return await use(await request(call, attemptSignal), release);
        } catch (thrown) {
          release();
          throw thrown;
        }
      },
      { signal, retry, attemptTimeoutMs },
    );
  };

  return {
    async call(call) {
      return await run(call, slots, async (response, release) => {
        const text = await readText(response, call.maxAnswerBytes ?? Infinity, 'fail');
        release();
        return { status: response.status, headers: response.headers, text };
      });
    },
    async open(call) {
      return await run(call, streamSlots, async (response, release) => {
        return await Promise.resolve(streamSlots === undefined ? response : releasingResponse(response, release));
      });
    },
  };
}

async function readText(response: Response, maxBytes: number, onExcess: 'cut' | 'fail'): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader();
  if (reader === undefined) return text;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    const room = maxBytes - size;
    size += value.length;
    text += decoder.decode(value.length > room ? value.subarray(0, room) : value, { stream: true });
    if (size <= maxBytes) continue;
    // Not awaited: the stream is given up, and its server may take its time.
    void reader.cancel().catch(() => undefined);
    if (onExcess === 'cut') return text;
    const facts = { code: 'internal', reason: ownReasons.invalidResponse, retryable: false } as const;
    throw new CallError(`The response is larger than ${maxBytes} bytes.`, facts);
  }
}
