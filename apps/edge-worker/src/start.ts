import { createServer } from 'node:http';
import { functionPorts } from '@soulbox/contract/functions';
import { handleControl } from './control.ts';
import { createEngineLifecycle } from './engine/engine-lifecycle.ts';
import { createFront } from './front/front.ts';
import { openLink } from './link/link.ts';
import { createFunctionLog } from './log/function-log.ts';

/**
 * Starts the supervisor of one function. It serves nothing until the host has sent its settings. It runs until its
 * sandbox ends.
 */
export async function startSupervisor(): Promise<void> {
  const log = createFunctionLog();
  const link = openLink(log);
  const lifecycle = createEngineLifecycle(log, link);
  const control = createServer((request, response) => void handleControl(request, response, lifecycle));
  const front = createFront(lifecycle, log);
  await Promise.all([listen(front, functionPorts.requests), listen(link.server, functionPorts.link)]);
  // Opened last: when it is open, the other ports are open too.
  await listen(control, functionPorts.control);
}

interface Listening {
  listen(port: number, host: string, done: () => void): unknown;
  once(event: 'error', listener: (error: Error) => void): unknown;
}

async function listen(server: Listening, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '0.0.0.0', resolve);
  });
}
