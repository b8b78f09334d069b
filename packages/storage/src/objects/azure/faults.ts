import { parseRetryAfter } from '@soulbox/client';
import type { Reason } from '@soulbox/base';
import { faultText, StoreFault } from '../store-fault.ts';

/** What errors of the SDK have in common, as far as it is used. */
interface SdkError {
  readonly statusCode?: number;
  readonly code?: string;
  readonly message: string;
  readonly response?: { readonly headers?: { get(name: string): string | undefined } };
}

/** Translates an error of the SDK. A defect of ours stays as it is. */
export function faultFromAzure(thrown: unknown): unknown {
  if (thrown instanceof StoreFault || !(thrown instanceof Error)) return thrown;
  const { statusCode: status, code = '', message, response } = thrown as SdkError;
  const text = message.split('\n')[0]?.slice(0, 300) ?? '';
  const reason = byCode[code] ?? (status === undefined ? undefined : byStatus(status));
  const retryAfterMs = parseRetryAfter(response?.headers?.get('retry-after'));
  if (reason !== undefined)
    return new StoreFault(reason, `${faultText(reason)}: ${code} ${text}`, {
      cause: thrown,
      retryAfterMs,
    });
  if (thrown instanceof TypeError || thrown instanceof RangeError) return thrown;
  return new StoreFault('storage_unavailable', `The store cannot be reached: ${text}`, { cause: thrown });
}

/** https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes */
const byCode: Readonly<Record<string, Reason | 'range'>> = {
  ContainerNotFound: 'config_invalid',
  ContainerBeingDeleted: 'storage_unavailable',
  ContainerDisabled: 'config_invalid',
  InvalidResourceName: 'config_invalid',
  BlobAlreadyExists: 'storage_precondition_failed',
  InvalidRange: 'range',
  InvalidBlockList: 'storage_not_found',
  ServerBusy: 'storage_throttled',
  Md5Mismatch: 'storage_damaged',
  AccountIsDisabled: 'storage_access_denied',
};

function byStatus(status: number): Reason | 'range' | undefined {
  if (status === 501 || status === 405) return 'storage_unsupported';
  if (status === 507) return 'disk_full';
  if (status >= 500 || status === 408) return 'storage_unavailable';
  return statuses[status];
}

const statuses: Readonly<Record<number, Reason | 'range'>> = {
  401: 'storage_access_denied',
  403: 'storage_access_denied',
  404: 'storage_not_found',
  409: 'storage_precondition_failed',
  412: 'storage_precondition_failed',
  413: 'limit_exceeded',
  416: 'range',
  429: 'storage_throttled',
};
