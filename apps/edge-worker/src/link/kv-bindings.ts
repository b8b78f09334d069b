import { chmod } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { functionLinkPaths } from '@soulbox/contract/functions';
import { giveUp } from './link.ts';
import type { Link } from './link.ts';

/** Sockets for workerd's key-value bindings. Their requests are passed to the host unchanged. */
export interface KvBindings {
  open(
    folder: string,
    bindings: readonly string[],
    owner: { readonly uid: number; readonly gid: number },
  ): Promise<OpenBindings>;
}

interface OpenBindings {
  readonly paths: ReadonlyMap<string, string>;
  close(): void;
}

/** Headers from workerd that the host understands. */
const passedOn = ['content-length', 'content-type', 'cf-kv-metadata'] as const;

export function createKvBindings(link: Link): KvBindings {
  return {
    async open(folder, bindings) {
      const paths = new Map<string, string>();
      const servers: Server[] = [];
      for (const [index, binding] of bindings.entries()) {
        const path = join(folder, `kv${index}.sock`);
        const server = createServer((request, response) => void passOn(link, binding, request, response));
        await new Promise<void>((resolve, reject) => {
          server.once('error', reject);
          server.listen(path, resolve);
        });
        await chmod(path, 0o666);
        paths.set(binding, path);
        servers.push(server);
      }
      return {
        paths,
        close: () => {
          for (const server of servers) {
            server.close();
            server.closeAllConnections();
          }
        },
      };
    },
  };
}

async function passOn(link: Link, binding: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const stream = await link.request({
      ':method': request.method ?? 'GET',
      ':path': `${functionLinkPaths.kv}${binding}${request.url ?? '/'}`,
      ...Object.fromEntries(
        passedOn.flatMap((name) => (request.headers[name] === undefined ? [] : [[name, request.headers[name]]])),
      ),
    });
    stream.on('error', () => fail(response));
    stream.on('response', (headers) => {
      const kept = Object.entries(headers).filter(([name]) => !name.startsWith(':') && name !== 'date');
      response.writeHead(Number(headers[':status']), Object.fromEntries(kept));
      stream.pipe(response);
    });
    response.on('close', () => giveUp(stream));
    request.pipe(stream);
  } catch {
    fail(response);
  }
}

/** The host is away or closed the connection, so the Worker's call fails. */
function fail(response: ServerResponse): void {
  if (response.headersSent) response.destroy();
  else response.writeHead(503, { 'content-type': 'text/plain' }).end('The key-value store cannot be reached.');
}
