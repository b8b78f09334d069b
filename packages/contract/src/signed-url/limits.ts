import { SoulBoxError } from '@soulbox/base';
import { isInRanges } from './address-ranges.ts';
import type { Grant } from './parameters.ts';

/** What the head of a request says about its sender and its body. */
export interface RequestFacts {
  /** The address of the client. */
  readonly address: string;
  /** All values of `Content-Type`. */
  readonly contentTypes: readonly string[];
  /** All values of `Content-Encoding`. */
  readonly contentEncodings: readonly string[];
  /** `Content-Length`, if there is one. */
  readonly announcedBytes: number | undefined;
  /** Whether the request switches to another protocol, which has no body. */
  readonly isUpgrade: boolean;
}

/** The error for a request beyond the limits of its URL. The body itself is counted while it arrives. */
export function findLimitFault(grant: Grant, facts: RequestFacts): SoulBoxError | undefined {
  const { addresses, contentType, maxBytes } = grant;
  if (addresses !== undefined && !isInRanges(facts.address, addresses))
    return new SoulBoxError('forbidden', 'The signed URL is not valid for the address of this client.');
  if (contentType !== undefined && !hasType(facts.contentTypes, contentType))
    return new SoulBoxError('unsupported_media_type', `The signed URL only accepts a body of the type ${contentType}.`);
  if (maxBytes === undefined) return undefined;
  if (facts.isUpgrade) return new SoulBoxError('forbidden', 'The signed URL has a size limit and no upgrade.');
  if (facts.contentEncodings.some((coding) => coding.trim().toLowerCase() !== 'identity'))
    return new SoulBoxError('unsupported_media_type', 'The signed URL has a size limit: send the body uncompressed.');
  return (facts.announcedBytes ?? 0) > maxBytes ? bodyTooLarge(maxBytes) : undefined;
}

export function bodyTooLarge(maxBytes: number): SoulBoxError {
  return new SoulBoxError('body_too_large', `The signed URL only accepts a body of up to ${maxBytes} bytes.`);
}

function hasType(values: readonly string[], wanted: string): boolean {
  const [value = ''] = values;
  const [essence = ''] = value.split(';', 1);
  const type = essence.trim().toLowerCase();
  if (values.length !== 1) return false;
  return wanted.endsWith('/*')
    ? type.startsWith(wanted.slice(0, -1)) && type.length > wanted.length - 1
    : type === wanted;
}
