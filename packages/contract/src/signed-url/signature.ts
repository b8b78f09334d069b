import { createHmac, timingSafeEqual } from 'node:crypto';
import { parameterNames } from './parameters.ts';
import { parametersOf } from './parse-grant.ts';
import { writeQuery } from './query.ts';
import { canonicalForm } from './signed-request.ts';
import type { SignedParts, SignedRequest } from './signed-request.ts';

/** HMAC-SHA256 of the canonical form in base64url without padding. `key` has 32 bytes. */
export function signatureOf(parts: SignedParts, key: Uint8Array): string {
  return createHmac('sha256', key).update(canonicalForm(parts)).digest('base64url');
}

/** Compares in constant time. */
export function isSignedWith(request: SignedRequest, key: Uint8Array): boolean {
  // Compared as text: several texts decode to the same bytes. Both have 43 characters (parse-grant.ts).
  return timingSafeEqual(Buffer.from(signatureOf(request, key)), Buffer.from(request.signature));
}

/** Path and query of the signed URL. */
export function signedTarget(parts: SignedParts, key: Uint8Array): string {
  const grant = parametersOf(parts.grant);
  const all = [...parts.own, ...grant, [parameterNames.signature, signatureOf(parts, key)] as const];
  return `${parts.path}?${writeQuery(all)}`;
}
