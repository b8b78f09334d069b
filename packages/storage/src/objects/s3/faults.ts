import { parseRetryAfter } from '@soulbox/client';
import type { Reason } from '@soulbox/base';
import { faultTexts, StoreFault } from '../store-fault.ts';

/** What errors of the SDK have in common, as far as it is used. */
interface SdkError {
  readonly name?: string;
  readonly Code?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
}

/** Translates an error of the SDK. One that is no answer of the store and no fault of the connection stays as it is. */
export function faultFromS3(thrown: unknown): unknown {
  if (thrown instanceof StoreFault || !(thrown instanceof Error)) return thrown;
  const error = thrown as SdkError;
  const status = error.$metadata?.httpStatusCode;
  const word = error.Code ?? error.name ?? '';
  const text = (error.message ?? '').slice(0, 300);
  const known = byWord[word] ?? (status === undefined ? undefined : byStatus(status));
  const retryAfterMs = parseRetryAfter(error.$response?.headers?.['retry-after']);
  if (known !== undefined)
    return new StoreFault(known.reason, `${known.text}: ${word}${text === '' || text === word ? '' : `, ${text}`}`, {
      ...{ cause: thrown, isTransient: known.isTransient, retryAfterMs },
    });
  // The rest are faults of the connection and responses that cannot be read, unless our code is at fault.
  if (thrown instanceof TypeError || thrown instanceof RangeError) return thrown;
  return new StoreFault('storage_unavailable', `The store cannot be reached: ${text || word}`, { cause: thrown });
}

interface Known {
  readonly reason: Reason | 'range';
  readonly text: string;
  readonly isTransient?: boolean;
}

const known = (reason: keyof typeof faultTexts): Known => ({ reason, text: faultTexts[reason] });

const denied: Known = known('storage_access_denied');
/** The SDK corrects its clock and fetches new credentials after these. */
const deniedForNow: Known = { ...denied, isTransient: true };
const throttled: Known = known('storage_throttled');
const unavailable: Known = known('storage_unavailable');
const notFound: Known = known('storage_not_found');
const changed: Known = known('storage_precondition_failed');
const wrongSettings: Known = known('config_invalid');
const corrupted: Known = { ...known('storage_damaged'), isTransient: true };
const full: Known = { reason: 'disk_full', text: 'The store has no space left' };
const tooLarge: Known = { reason: 'limit_exceeded', text: 'The store does not accept objects of this size' };
const unsupported: Known = known('storage_unsupported');

/** https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; R2 uses the same words. */
const byWord: Readonly<Record<string, Known>> = {
  NoSuchBucket: { reason: 'config_invalid', text: 'The bucket does not exist' },
  NoSuchKey: notFound,
  NoSuchUpload: notFound,
  PreconditionFailed: changed,
  ConditionalRequestConflict: { ...changed, isTransient: true },
  OperationAborted: { ...unavailable },
  RequestTimeTooSkewed: deniedForNow,
  ExpiredToken: deniedForNow,
  TokenRefreshRequired: deniedForNow,
  CredentialsProviderError: { reason: 'storage_access_denied', text: 'There are no credentials for the store' },
  SlowDown: throttled,
  Throttling: throttled,
  ThrottlingException: throttled,
  RequestLimitExceeded: throttled,
  TooManyRequests: throttled,
  RequestTimeout: unavailable,
  InternalError: unavailable,
  InvalidRange: { reason: 'range', text: 'The object has no bytes there' },
  BadDigest: corrupted,
  InvalidDigest: corrupted,
  IncompleteBody: corrupted,
  XAmzContentSHA256Mismatch: corrupted,
  QuotaExceeded: full,
  StorageFull: full,
  XMinioStorageFull: full,
  EntityTooLarge: tooLarge,
  AuthorizationHeaderMalformed: wrongSettings,
  PermanentRedirect: wrongSettings,
  IllegalLocationConstraintException: wrongSettings,
  InvalidBucketName: wrongSettings,
  NotImplemented: unsupported,
};

function byStatus(status: number): Known | undefined {
  if (status === 507) return full;
  if (status === 501 || status === 405) return unsupported;
  if (status >= 500 || status === 408) return unavailable;
  return statuses[status];
}

const statuses: Readonly<Record<number, Known>> = {
  301: wrongSettings,
  307: unavailable,
  401: denied,
  403: denied,
  404: notFound,
  409: { ...changed, isTransient: true },
  412: changed,
  413: tooLarge,
  416: { reason: 'range', text: 'The object has no bytes there' },
  429: throttled,
};
