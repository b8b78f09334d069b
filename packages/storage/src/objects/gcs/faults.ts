import { parseRetryAfter } from '@soulbox/client';
import type { Reason } from '@soulbox/base';
import { faultText, StoreFault } from '../store-fault.ts';

const maxErrorBytes = 64 * 1024;

/** Of an unsuccessful response, whose content it reads. */
export async function faultFromResponse(response: Response): Promise<StoreFault> {
  const { message, reason: word } = parseError(await readSome(response));
  const reason = byWord[word] ?? byStatus(response.status);
  const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'));
  return new StoreFault(reason, `${faultText(reason)}: ${response.status} ${word} ${message}`.trimEnd(), {
    retryAfterMs,
  });
}

/** Of a request without a response. */
export function faultFromFetch(thrown: unknown): unknown {
  if (thrown instanceof StoreFault) return thrown;
  const cause = thrown instanceof Error ? thrown.cause : undefined;
  // fetch hides the fault of the connection; everything else is a defect of ours.
  const isNetwork = thrown instanceof TypeError && (cause instanceof Error || thrown.message === 'terminated');
  if (!isNetwork) return thrown;
  const text = cause instanceof Error ? cause.message : thrown.message;
  return new StoreFault('storage_unavailable', `The store cannot be reached: ${text}`, { cause: thrown });
}

/** Of a token that the SDK was to get. An error with the `config` of a request and without a status has had no answer. */
export function faultFromToken(thrown: unknown): StoreFault {
  const text = thrown instanceof Error ? thrown.message.slice(0, 300) : '';
  const { config, status = 503 } = thrown as { readonly config?: object; readonly status?: number };
  const reason = config === undefined ? 'storage_access_denied' : byStatus(status);
  if (reason === 'storage_unavailable' || reason === 'storage_throttled')
    return new StoreFault(reason, `No token for the store can be fetched: ${text}`, { cause: thrown });
  return new StoreFault('storage_access_denied', `There are no credentials for the store: ${text}`, { cause: thrown });
}

async function readSome(response: Response): Promise<string> {
  let text = '';
  try {
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk as Uint8Array).toString();
      if (text.length > maxErrorBytes) break;
    }
  } catch {
    // The status is enough.
  }
  return text;
}

/** The form of Google's JSON APIs. */
function parseError(text: string): { readonly message: string; readonly reason: string } {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown; errors?: readonly { reason?: unknown }[] } };
    const reason = error?.errors?.[0]?.reason;
    return {
      message: typeof error?.message === 'string' ? error.message.slice(0, 300) : '',
      reason: typeof reason === 'string' ? reason.slice(0, 100) : '',
    };
  } catch {
    return { message: text.slice(0, 100), reason: '' };
  }
}

/** https://cloud.google.com/storage/docs/json_api/v1/status-codes */
const byWord: Readonly<Record<string, Reason>> = {
  rateLimitExceeded: 'storage_throttled',
  userRateLimitExceeded: 'storage_throttled',
  quotaExceeded: 'storage_throttled',
};

function byStatus(status: number): Reason | 'range' {
  if (status === 501 || status === 405) return 'storage_unsupported';
  if (status >= 500 || status === 408) return 'storage_unavailable';
  return statuses[status] ?? 'internal';
}

const statuses: Readonly<Record<number, Reason | 'range'>> = {
  400: 'storage_damaged',
  401: 'storage_access_denied',
  403: 'storage_access_denied',
  404: 'storage_not_found',
  // A session of an upload that has ended.
  410: 'storage_not_found',
  412: 'storage_precondition_failed',
  413: 'limit_exceeded',
  416: 'range',
  429: 'storage_throttled',
};
