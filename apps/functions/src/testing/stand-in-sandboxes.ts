import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import type { FunctionServed, FunctionSettings } from '@soulbox/contract/functions';
import { Process } from '@soulbox/contract/process';
import type { FunctionsContext } from '../context.ts';

/**
 * Replaces sandboxes as far as this room uses them: a runner that counts them, and a local server for their contents.
 */
export interface StandInSandboxes extends AsyncDisposable {
  readonly runner: FunctionsContext['runner'];
  readonly router: FunctionsContext['router'];
  /** The settings that supervisors received, the latest last. */
  readonly served: FunctionSettings[];
  /** Ids of the running ones, in the order of their creation. */
  readonly running: Set<string>;
  /** The response of the next supervisors. */
  answer: FunctionServed;
}

export async function startStandInSandboxes(): Promise<StandInSandboxes> {
  const running = new Set<string>();
  const served: FunctionSettings[] = [];
  let count = 0;
  const envd = connectNodeAdapter({
    routes: (router) =>
      router.service(Process, {
        async *start() {
          yield await Promise.resolve({ event: { event: { case: 'start', value: { pid: 7 } } } });
        },
      }),
  });
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/process.') === true) envd(request, response);
    else void serve(request, response);
  });
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await text(request);
    if (request.url === '/health') response.writeHead(204).end();
    else if (request.url === '/serve') {
      served.push(JSON.parse(body) as FunctionSettings);
      response.end(JSON.stringify(sandboxes.answer));
    } else response.end('{}');
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sandboxes: StandInSandboxes = {
    runner: {
      listTemplates: () => Promise.resolve({ templates: [{ names: ['edge'], templateId: 'tedge' }], makeable: [] }),
      createSandbox: () => {
        const sandboxId = `i${++count}`;
        running.add(sandboxId);
        return Promise.resolve({ sandbox: { sandboxId, envdAccessToken: 'token' } });
      },
      killSandbox: ({ sandboxId }: { sandboxId: string }) => Promise.resolve({ existed: running.delete(sandboxId) }),
    } as unknown as FunctionsContext['runner'],
    router: {
      dial: async () => {
        const socket = connect(port, '127.0.0.1');
        await once(socket, 'connect');
        return socket;
      },
      enter: () => ({ [Symbol.dispose]: () => undefined }),
      find: (sandboxId: string) => (running.has(sandboxId) ? { sandboxId, state: 'running' } : undefined),
    } as unknown as FunctionsContext['router'],
    served,
    running,
    answer: { state: 'ready' },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return sandboxes;
}
