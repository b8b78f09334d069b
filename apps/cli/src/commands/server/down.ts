import { setTimeout as sleep } from 'node:timers/promises';
import { defineCommand } from 'citty';
import { isRunning, SoulBoxError } from '@soulbox/base';
import { removeDeadInstances } from '@soulbox/box/host-instances';
import { findServer } from '@soulbox/box/server-file';
import { findUnmanaged } from '@soulbox/box/unmanaged';
import { resolveFolders } from '../../config.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { describeUnmanaged, endUnmanaged, unmanagedFix } from '../../server/unmanaged.ts';

// Ending a thousand sandboxes takes a while; the server itself limits each step.
const timeoutMs = 120_000;

export const down = defineCommand({
  meta: {
    name: 'down',
    description: 'Stop the server and end its sandboxes',
    examples: ['sudo soulbox down', 'sudo soulbox down --keep-sandboxes'],
  },
  args: {
    'data-dir': dataDirArg,
    'keep-sandboxes': {
      type: 'boolean',
      description: 'Keep sandboxes running for the next server to adopt; their timeouts are not enforced until then',
    },
    'end-sandboxes': {
      type: 'boolean',
      description: 'Also end sandboxes that a dead server left running',
    },
    json: jsonArg,
  },
  async run({ args }) {
    const { dataDirectory } = resolveFolders(args['data-dir']);
    const keepSandboxes = args['keep-sandboxes'] === true;
    const server = await findServer(dataDirectory);
    if (server !== undefined) {
      process.kill(server.pid, keepSandboxes ? 'SIGUSR2' : 'SIGTERM');
      const giveUpAt = Date.now() + timeoutMs;
      while (isRunning(server)) {
        if (Date.now() > giveUpAt) {
          throw new SoulBoxError('shutting_down', `The server (pid ${server.pid}) did not stop within 120 s.`);
        }
        await sleep(20);
      }
    }
    // Sandboxes that were kept on request need no report.
    const left = keepSandboxes ? [] : await findUnmanaged(dataDirectory);
    const isToEnd = left.length > 0 && args['end-sandboxes'] === true;
    if (isToEnd) await endUnmanaged(dataDirectory, left);
    const unmanaged = isToEnd ? await findUnmanaged(dataDirectory) : left;
    if (!keepSandboxes && unmanaged.length === 0) await removeDeadInstances(dataDirectory);
    if (args.json === true) {
      const stopped = server !== undefined;
      const unmanagedSandboxes = unmanaged.map(({ sandboxId }) => sandboxId);
      console.log(JSON.stringify({ stopped, keptSandboxes: stopped && keepSandboxes, unmanagedSandboxes }));
    } else {
      console.log(
        server === undefined ? `No server is running for ${dataDirectory}.` : `Server ${server.pid} stopped.`,
      );
      if (isToEnd) console.log(`Ended sandboxes that a dead server left running: ${left.length}.`);
      if (unmanaged.length > 0) console.error(`${describeUnmanaged(unmanaged)}: ${unmanagedFix}.`);
    }
    return unmanaged.length > 0 ? exitCodes.failed : exitCodes.ok;
  },
});
