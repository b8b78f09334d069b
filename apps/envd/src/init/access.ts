import type { IncomingMessage } from 'node:http';
import { SoulBoxError } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import type { Settings } from '../settings.ts';

/** Throws unauthorized unless the caller sends the sandbox's access token or none is set. */
export function checkAccessToken(settings: Settings, request: IncomingMessage): void {
  if (settings.accessToken === undefined) return;
  const header = request.headers[headers.accessToken];
  if (typeof header !== 'string' || !settings.accessToken.equals(header)) {
    throw new SoulBoxError(
      'unauthorized',
      'unauthorized access, please provide a valid access token in X-Access-Token',
    );
  }
}
