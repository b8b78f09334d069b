import { createByteCollector, SoulBoxError } from '@soulbox/base';

/** Bytes of one response of the provider: its metadata, its keys, tokens, or facts about a person. */
const responseBytesMax = 256 * 1024;
/** One response must have arrived completely within this time. */
export const providerTimeoutMs = 5000;

interface FetchOptions {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: unknown;
}

/**
 * Sends a request to the provider. Follows no redirects, and reads a bounded response completely. Throws
 * `provider_unavailable`.
 */
export async function boundedFetch(
  url: string,
  { method, headers, body }: FetchOptions,
  timeoutMs = providerTimeoutMs,
): Promise<Response> {
  try {
    const response = await fetch(url, {
      ...{ method, headers, redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) },
      ...(body === undefined || body === null ? {} : { body: body as string | URLSearchParams }),
    });
    const { status } = response;
    const answered = new Headers(response.headers);
    const bytes = await readBounded(response);
    if (status >= 500) throw new RangeError(`The status was ${status}.`);
    // `fetch` has decoded the body.
    answered.delete('content-encoding');
    answered.delete('content-length');
    return new Response(status === 204 || status === 304 ? null : bytes, { status, headers: answered });
  } catch (cause) {
    const message = 'The identity provider does not respond as it should. Retry later.';
    throw new SoulBoxError('provider_unavailable', message, { cause });
  }
}

async function readBounded({ body }: Response): Promise<Uint8Array<ArrayBuffer>> {
  const collector = createByteCollector(responseBytesMax);
  for await (const piece of body ?? [])
    if (!collector.add(piece as Uint8Array)) throw new RangeError(`It has more than ${responseBytesMax} bytes.`);
  return new Uint8Array(collector.bytes());
}
