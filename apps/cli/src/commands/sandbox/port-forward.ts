import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { printable } from '@soulbox/envd-client/printable';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { apiDataDirArg, sandboxArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { forwardConnection } from '../../process/forward-connection.ts';
import { faultFrom } from '../../process/reach-processes.ts';
import type { ReachedProcesses } from '../../process/reach-processes.ts';
import type { Signals } from '../../process/signals.ts';
import { withSandbox } from '../../process/with-sandbox.ts';

/** Each connection is a process in the sandbox. Further ones are closed. */
const connectionsMax = 64;
const portsMax = 16;
/** Output, input and acknowledgements of each. */
const callsOfConnection = 3;
/** For the end of their processes. Milliseconds. */
const endMs = 3000;

export const forwardPorts = defineCommand({
  meta: {
    name: 'port-forward',
    description:
      'Forward ports of this machine to ports of a sandbox until Ctrl-C, also to what listens on its loopback only. Example: port-forward ID 8080:80 5432',
    examples: ['soulbox sandbox port-forward ID 8080:80', 'soulbox sandbox port-forward ID 3000 5432'],
  },
  args: {
    sandbox: sandboxArg,
    ports: { type: 'positional', required: true, description: 'LOCAL:REMOTE or PORT, several; LOCAL 0: any free port' },
    address: { type: 'string', description: 'Address to listen on (default 127.0.0.1)', valueHint: 'ADDRESS' },
    'data-dir': apiDataDirArg,
    json: { type: 'boolean', description: 'Print one JSON object per port' },
  },
  async run({ args }) {
    const pairs = args._.slice(1).map(parsePair);
    if (pairs.length > portsMax) throw new UsageError(`At most ${portsMax} ports can be forwarded.`);
    const host = args.address ?? '127.0.0.1';
    const act = async (sandbox: ReachedProcesses, signals: Signals): Promise<number> => {
      const failed = Promise.withResolvers<never>();
      failed.promise.catch(() => undefined);
      const sockets = new Set<Socket>();
      const serving = new Set<Promise<void>>();
      await using cleanups = new AsyncDisposableStack();
      // After the servers are closed.
      cleanups.defer(async () => {
        for (const socket of sockets) socket.destroy();
        await Promise.race([Promise.allSettled(serving), sleep(endMs, undefined, { ref: false })]);
      });
      for (const { local, remote } of pairs) {
        const server = createServer({ allowHalfOpen: true }, (socket) => {
          const served = serve(socket, { sandbox, remote, sockets, fail: failed.reject });
          serving.add(served);
          void served.finally(() => serving.delete(served));
        });
        const { port } = await listen(server, host, local);
        cleanups.defer(() => void server.close());
        const place = { address: host, port, sandboxID: args.sandbox, sandboxPort: remote };
        console.log(
          args.json === true
            ? JSON.stringify(place)
            : `${host}:${port} is forwarded to port ${remote} of ${args.sandbox}.`,
        );
      }
      const interrupted = new Promise<number>((resolve) => {
        signals.takeOver(() => resolve(exitCodes.interrupted));
      });
      return await Promise.race([interrupted, failed.promise]);
    };
    return await withSandbox(args, act, { connectionsMax: connectionsMax * callsOfConnection });
  },
});

interface Pair {
  readonly local: number;
  readonly remote: number;
}

/** Throws UsageError. */
function parsePair(text: string): Pair {
  const [, first = '', second = first] = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(text) ?? [];
  const [local, remote] = [Number(first), Number(second)];
  if (first !== '' && local <= 65_535 && remote >= 1 && remote <= 65_535) return { local, remote };
  throw new UsageError(`A port must be LOCAL:REMOTE or PORT, from 1 to 65535, not ${JSON.stringify(text)}.`);
}

async function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  try {
    await once(server.listen(port, host), 'listening');
    return server.address() as AddressInfo;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    const advice = code === 'EADDRINUSE' ? 'It is in use. Choose another with LOCAL:REMOTE; 0 is any free one.' : code;
    throw new SoulBoxError('bad_request', `Port ${port} of ${host} cannot be opened. ${advice}`, { cause: error });
  }
}

interface Forward {
  readonly sandbox: ReachedProcesses;
  readonly remote: number;
  readonly sockets: Set<Socket>;
  readonly fail: (fault: Error) => void;
}

async function serve(socket: Socket, { sandbox, remote, sockets, fail }: Forward): Promise<void> {
  if (sockets.size >= connectionsMax) {
    console.error(`warning: More than ${connectionsMax} connections at once: one was closed.`);
    socket.destroy();
    return;
  }
  sockets.add(socket);
  socket.setNoDelay(true);
  try {
    const end = await forwardConnection(socket, sandbox, remote);
    if (end === 'refused') console.error(`warning: Nothing listens on port ${remote} of ${sandbox.sandboxId}.`);
  } catch (thrown) {
    const fault = faultFrom(thrown);
    // One connection may fail. A sandbox that has ended is the end.
    if (fault instanceof SoulBoxError && fault.reason === 'sandbox_not_found') fail(fault);
    else console.error(`warning: A connection to port ${remote} failed: ${printable(fault.message)}`);
  } finally {
    sockets.delete(socket);
  }
}
