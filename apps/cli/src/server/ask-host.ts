import { once } from 'node:events';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import { readMetricsToken } from '@soulbox/box/credentials';
import { environment } from '../config.ts';

/**
 * Calls the server of a data folder with the operator's token, over the socket in that folder, which only root can
 * reach; the gateway is bypassed. Throws `unauthorized` for another token than the server has.
 */
export async function askHost(
  dataDirectory: string,
  call: { readonly method: string; readonly path: string },
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const token = await readMetricsToken(dataDirectory, environment['SOULBOX_METRICS_TOKEN'] ?? '');
  const asked = request({
    socketPath: join(dataDirectory, 'run', 'api.sock'),
    ...call,
    headers: { authorization: `Bearer ${token?.reveal() ?? ''}` },
    signal,
  });
  asked.end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  if (answer.statusCode !== 401) return answer;
  answer.resume();
  throw new SoulBoxError(
    'unauthorized',
    'The server has a different operator token. Set SOULBOX_METRICS_TOKEN to the value that the server has.',
  );
}
