import { defineCommand } from 'citty';
import { isRunning, sleep, SoulBoxError } from '@soulbox/base';
import { findServer } from '@soulbox/box/server-file';
import { resolveFolders } from '../../config.ts';
import { dataDirArg, jsonArg } from '../../program/shared-args.ts';

// Ending a thousand sandboxes takes a while; the server itself bounds each step.
const timeoutMs = 120_000;

export const down = defineCommand({
  meta: { name: 'down', description: 'Stop the server and end its sandboxes' },
  args: {
    'data-dir': dataDirArg,
    'keep-sandboxes': {
      type: 'boolean',
      description: 'Leave sandboxes running for the next server to adopt; nobody enforces their timeouts meanwhile',
    },
    json: jsonArg,
  },
  async run({ args }) {
    const { dataDirectory } = resolveFolders(args['data-dir']);
    const keepSandboxes = args['keep-sandboxes'] === true;
    const server = await findServer(dataDirectory);
    if (server !== undefined) {
      process.kill(server.pid, keepSandboxes ? 'SIGHUP' : 'SIGTERM');
      const giveUpAt = Date.now() + timeoutMs;
      while (isRunning(server)) {
        if (Date.now() > giveUpAt) {
          throw new SoulBoxError('shutting_down', `The server (pid ${server.pid}) did not stop within 120 s.`);
        }
        await sleep(20);
      }
    }
    const answer = { stopped: server !== undefined, keptSandboxes: server !== undefined && keepSandboxes };
    if (args.json === true) console.log(JSON.stringify(answer));
    else console.log(server === undefined ? `No server uses ${dataDirectory}.` : `Server ${server.pid} stopped.`);
  },
});
