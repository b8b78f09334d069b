import type { Socket } from 'node:net';
import type { Logger } from '@soulbox/base';
import type { SshAdmission, SshAuthority } from '@soulbox/contract/ssh-service';
import type { Connection } from 'ssh2';
import { serveForwarded } from '../channels/forward.ts';
import { createRemoteForward } from '../channels/remote-forward.ts';
import type { RemoteLimits } from '../channels/remote-forward.ts';
import { serveSession } from '../channels/session.ts';
import type { InsidePrograms } from '../channels/session.ts';
import { serveGlobalRequests } from '../global-requests.ts';
import { packetBytesOf } from '../library.ts';
import { channelsMax, packetMinBytes } from '../limits.ts';
import { createOutlet } from '../outlet.ts';
import { openSandbox } from '../sandbox/sandbox.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { authenticate } from './authenticate.ts';
import type { MemoryBound } from '../bound-memory.ts';
import type { OpenGrants } from './open-grants.ts';

export interface ClientContext {
  readonly authority: SshAuthority;
  readonly gatewaySocket: string;
  readonly programs: InsidePrograms;
  /** Of all connections to one sandbox. */
  readonly remoteLimits: RemoteLimits;
  readonly grants: OpenGrants;
  /** False if no further client of the team may be in. */
  readonly enter: (socket: Socket, teamId: string) => boolean;
  /** Control has been asked about the client, or has answered. */
  readonly decide: (socket: Socket, isDecided: boolean) => void;
  readonly logger: Logger;
}

/** How long programs of a connection that has ended may be told so. Milliseconds. */
const farewellMs = 5000;

/** Serves one connection from its first request on. */
export function serveClient(client: Connection, socket: Socket, memory: MemoryBound, context: ClientContext): void {
  const { authority, logger, enter } = context;
  // The library only ends its own side, which waits for a client that does not read.
  client.on('error', (err) => {
    logger.debug({ err }, 'an SSH connection broke');
    socket.destroy();
  });
  client.once('end', () => socket.destroy());
  authenticate(client, socket, {
    ...{ authority, logger },
    onDeciding: (isDecided) => context.decide(socket, isDecided),
    onSignedIn(admission) {
      if (!enter(socket, admission.teamId)) {
        logger.warn({ teamId: admission.teamId }, 'too many SSH connections');
        socket.destroy();
        return;
      }
      memory.signedIn();
      serveSignedIn(client, socket, { admission, memory, context });
    },
  });
}

function serveSignedIn(
  client: Connection,
  socket: Socket,
  { admission, memory, context }: { admission: SshAdmission; memory: MemoryBound; context: ClientContext },
): void {
  const { sandboxId, keyId, fault } = admission;
  const logger = context.logger.child({ sandboxId, sshKeyId: keyId });
  const sandbox: Sandbox = openSandbox(context.gatewaySocket, admission);
  let isEnded = false;
  const grant = context.grants.open({ sandboxId, keyId }, () => {
    logger.info({}, 'an SSH connection is ended: its key or its sandbox has ended');
    isEnded = true;
    // A client that does not read must not be waited for.
    setImmediate(() => socket.destroy());
    client.end();
  });
  socket.once('close', () => {
    grant[Symbol.dispose]();
    setTimeout(() => sandbox[Symbol.dispose](), farewellMs).unref();
  });

  const outlet = createOutlet(client, socket, memory);
  let open = 0;
  const takePlace = (): boolean => {
    if (isEnded || open >= channelsMax) return false;
    open += 1;
    return true;
  };
  const freePlace = (): void => {
    open -= 1;
  };
  const channelContext = {
    ...{ sandbox, fault, socket, takePlace, freePlace, logger, memory, outlet, programs: context.programs },
    note: (used: Parameters<typeof grant.note>[0]) => grant.note(used),
  };

  const remote = createRemoteForward({
    ...channelContext,
    ...{ client, sandboxId, program: context.programs.remoteListener, limits: context.remoteLimits },
    onLost() {
      // Otherwise a client that does nothing else would never hear of it.
      if (open === 0) client.end();
    },
  });
  socket.once('close', () => remote[Symbol.dispose]());
  serveGlobalRequests(
    client,
    async (request) => await remote.serve(request),
    (why) => memory.cut(why),
  );

  client.on('session', (accept, reject) => {
    if (!takePlace()) {
      reject();
      return;
    }
    const session = accept();
    if (packetBytesOf(session) < packetMinBytes) {
      socket.destroy();
      return;
    }
    session.once('close', freePlace);
    serveSession(session, channelContext);
  });
  client.on('tcpip', (accept, reject, { destIP, destPort }) => {
    void serveForwarded({ host: destIP, port: destPort }, { accept, reject }, channelContext);
  });
}
