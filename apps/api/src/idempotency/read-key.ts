import { SoulBoxError } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import type { FastifyRequest } from 'fastify';

const lengthMax = 255;

/** A string of RFC 8941, as the draft asks for. Its content is group 1. */
const quotedForm = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;
/** What most clients send: visible ASCII without quotes, commas and backslashes. */
const bareForm = /^[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]+$/;

/**
 * The key of a request that may be repeated (draft-ietf-httpapi-idempotency-key-header-07, section 2.1). `"a"` and `a`
 * are the same key. Undefined without the header. Throws `bad_request`.
 */
export function readIdempotencyKey({ raw }: Pick<FastifyRequest, 'raw'>): string | undefined {
  const values = raw.headersDistinct[headers.idempotencyKey];
  if (values === undefined) return undefined;
  const [value = '', ...more] = values;
  const key = quotedForm.exec(value)?.[1]?.replaceAll(/\\(["\\])/g, '$1') ?? bareForm.exec(value)?.[0] ?? '';
  if (more.length === 0 && key.length > 0 && key.length <= lengthMax) return key;
  throw new SoulBoxError(
    'bad_request',
    `The Idempotency-Key must be one string of 1 to ${lengthMax} visible ASCII characters.`,
  );
}
