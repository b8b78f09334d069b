import { createHmac } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import type { Secret } from '@soulbox/base';
import type { FastifyRequest } from 'fastify';

/**
 * A keyed digest of what a request asks for: route, parameters and body, in whatever order the body has its members.
 */
export function fingerprintOf(
  { method, routeOptions, params, body }: Pick<FastifyRequest, 'method' | 'routeOptions' | 'params' | 'body'>,
  isolation: string,
  key: Secret,
): string {
  const text = stableJson([method, routeOptions.url ?? '', params, body ?? null, isolation]);
  return createHmac('sha256', key.reveal()).update(text).digest('base64url');
}

/** Throws `bad_request` for a value that is nested too deeply to be compared. */
function stableJson(value: unknown): string {
  try {
    return JSON.stringify(value, (_name, part: unknown) => (isPlain(part) ? sorted(part) : part));
  } catch (cause) {
    throw new SoulBoxError('bad_request', 'The request body is nested too deeply.', { cause });
  }
}

const isPlain = (part: unknown): part is Record<string, unknown> =>
  typeof part === 'object' && part !== null && !Array.isArray(part);

function sorted(part: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(part).sort(([one], [other]) => (one < other ? -1 : 1)));
}
