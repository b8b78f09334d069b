import { defineCommand } from 'citty';
import { envdPort } from '@soulbox/contract';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import { portUrl } from '../../api/port-url.ts';
import type { ApiSignedUrl } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg, parseNumberFlag } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';

const secondsMax = 365 * 24 * 3600;

export const sign = defineCommand({
  meta: {
    name: 'sign',
    description: 'Sign a URL that works without a key: a file or a port of a sandbox, a function, or a log',
    examples: [
      'soulbox sign /home/user/report.pdf --sandbox ID --expires 600',
      'soulbox sign / --sandbox ID --port 3000 --prefix',
    ],
  },
  args: {
    target: {
      type: 'positional',
      required: true,
      description: 'A URL, or a path of the API; with --sandbox a file, and with --port a path of that port',
    },
    sandbox: { type: 'string', description: 'Id of the sandbox that has the file or the port', valueHint: 'ID' },
    port: { type: 'string', description: 'Port in the sandbox (default: the target is a file)', valueHint: 'PORT' },
    user: { type: 'string', description: 'User of the sandbox who reads or writes the file', valueHint: 'NAME' },
    method: { type: 'string', description: 'Method; POST uploads a file (default GET)', valueHint: 'METHOD' },
    expires: { type: 'string', description: 'Seconds for which it is valid (default 3600)', valueHint: 'SECONDS' },
    once: { type: 'boolean', description: 'It can be used only once' },
    prefix: { type: 'boolean', description: 'It is valid for everything below the target, which ends with a slash' },
    'max-bytes': { type: 'string', description: 'Limit of the request body', valueHint: 'BYTES' },
    type: { type: 'string', description: 'Media type of the request body, such as image/*', valueHint: 'TYPE' },
    from: { type: 'string', description: 'Addresses of its users, separated by commas', valueHint: 'CIDR,CIDR' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const port = parseNumberFlag('port', args.port, 1, 65_535);
    if (args.sandbox === undefined && (port !== undefined || args.user !== undefined))
      throw new UsageError('--port and --user need --sandbox.');
    if (port !== undefined && args.user !== undefined) throw new UsageError('--user is only for files.');
    const expiresInSeconds = parseNumberFlag('expires', args.expires, 1, secondsMax);
    const maxBytes = parseNumberFlag('max-bytes', args['max-bytes'], 1, 999_999_999);
    const api = await findApi(args['data-dir']);
    const path = port === undefined ? filePath(args.target, args.user) : args.target;
    const body = {
      url: args.sandbox === undefined ? args.target : portUrl(api, args.sandbox, port ?? envdPort, checkedPath(path)),
      method: args.method?.toUpperCase(),
      expiresInSeconds,
      once: args.once,
      prefix: args.prefix,
      maxBytes,
      contentType: args.type,
      addresses: args.from?.split(','),
    };
    const { body: signed } = await callApi<ApiSignedUrl>(api, { method: 'POST', path: '/signed-urls', body });
    console.log(args.json === true ? JSON.stringify(signed) : signed.url);
  },
});

function filePath(path: string, user: string | undefined): string {
  const username = user === undefined ? '' : `&username=${encodeURIComponent(user)}`;
  return `/files?path=${encodeURIComponent(path)}${username}`;
}

function checkedPath(path: string): string {
  if (path.startsWith('/')) return path;
  throw new UsageError(`The path of a port must begin with a slash, not ${JSON.stringify(path)}.`);
}
