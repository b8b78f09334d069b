import { SoulBoxError } from '@soulbox/base';
import type { FastifyRequest } from 'fastify';
import type { ApiContext } from '../context.ts';

const hostForm = /^[a-z0-9._-]+(:\d{1,5})?$|^\[[0-9a-f:.]+\](:\d{1,5})?$/i;

/** The address at which the caller reached the gateway, unless the operator has configured another one. */
export function baseUrlOf({ config }: Pick<ApiContext, 'config'>, request: FastifyRequest): string {
  if (config.apiUrl !== '') return config.apiUrl;
  const { host = '', 'x-forwarded-proto': scheme } = request.headers;
  if (!hostForm.test(host)) throw new SoulBoxError('bad_request', 'The Host header does not name a host.');
  return `${scheme === 'https' ? 'https' : 'http'}://${host}`;
}
