import { defineCommand } from 'citty';
import { readDefaultApiKey } from '@soulbox/box/credentials';
import { findServer } from '@soulbox/box/server-file';
import type { ServerFile } from '@soulbox/box/server-file';
import { findUnmanaged } from '@soulbox/box/unmanaged';
import { resolveFolders } from '../../config.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { requestOnce } from '../../server/request-once.ts';
import { describeUnmanaged, unmanagedFix } from '../../server/unmanaged.ts';

export const status = defineCommand({
  meta: {
    name: 'status',
    description: 'Print whether the server is running; exit code 3 if it is not',
    examples: ['soulbox status', 'soulbox status --json'],
  },
  args: { 'data-dir': dataDirArg, json: jsonArg },
  async run({ args }) {
    const { dataDirectory } = resolveFolders(args['data-dir']);
    const server = await findServer(dataDirectory);
    if (server === undefined) {
      const unmanaged = await findUnmanaged(dataDirectory);
      const unmanagedSandboxes = unmanaged.map(({ sandboxId }) => sandboxId);
      if (args.json === true) console.log(JSON.stringify({ running: false, dataDirectory, unmanagedSandboxes }));
      else {
        console.log(`No server is running for ${dataDirectory}. Start one with "soulbox up".`);
        if (unmanaged.length > 0) console.log(`${describeUnmanaged(unmanaged)}: ${unmanagedFix}.`);
      }
      return exitCodes.notRunning;
    }
    const { pid, state, host, port, tlsPort, instance } = server;
    const sandboxes = await countSandboxes(dataDirectory, server);
    const facts = {
      running: true,
      state,
      pid,
      host,
      port,
      tlsPort,
      instance,
      dataDirectory,
      sandboxes: sandboxes ?? null,
    };
    if (args.json === true) console.log(JSON.stringify(facts));
    else {
      const tls = tlsPort === 0 ? 'off' : `https on ${host}:${tlsPort}`;
      console.log(`Server ${pid} is ${state}: http on ${host}:${port}, TLS ${tls}, instance ${instance}.`);
      console.log(`Sandboxes of the default team: ${sandboxes ?? 'unknown, the API does not respond'}.`);
    }
    return exitCodes.ok;
  },
});

async function countSandboxes(dataDirectory: string, server: ServerFile): Promise<number | undefined> {
  const key = await readDefaultApiKey(dataDirectory);
  const url = server.client['E2B_API_URL'];
  if (key === undefined || url === undefined) return undefined;
  try {
    const { status: answered, headers } = await requestOnce({
      ...{ method: 'GET', url: `${url}/v2/sandboxes?state=running&limit=1`, timeoutMs: 5000 },
      headers: { 'x-api-key': key.reveal() },
    });
    const total = headers.get('x-total-running');
    return answered === 200 && total !== null ? Number(total) : undefined;
  } catch {
    return undefined;
  }
}
