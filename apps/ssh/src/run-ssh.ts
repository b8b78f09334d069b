import { flushCompileCache } from 'node:module';
import { measureOwn } from '@soulbox/base';
import type { RootLogger } from '@soulbox/base';
import { createSshAuthority } from '@soulbox/contract/ssh-service';
import { dropPrivileges } from '@soulbox/process';
import type { Cell, PartProgram, RunningPart } from '@soulbox/process';
import { createSocketTransport } from '@soulbox/rpc';
import type { InsidePrograms } from './channels/session.ts';
import { startSsh } from './start.ts';

/** The settings of an SSH server in a process of its own. */
export interface SshProcessSettings {
  readonly cell: Cell;
  readonly maxConnections: number;
  /** In the format of OpenSSH. */
  readonly hostKey: string;
  readonly programs: InsidePrograms;
  /** An open descriptor that the process was started with: the bound port. */
  readonly descriptor: number;
  /** Paths as seen inside the cell. */
  readonly sockets: { readonly gateway: string; readonly control: string };
}

export const sshProgram: PartProgram = {
  part: 'ssh',
  start: async (settings, logger) => await run(settings as unknown as SshProcessSettings, logger),
};

async function run(settings: SshProcessSettings, logger: RootLogger): Promise<RunningPart> {
  const { cell, maxConnections, hostKey, programs, descriptor, sockets } = settings;
  // The compile cache cannot be written after the next step.
  flushCompileCache();
  dropPrivileges(cell);
  await using started = new AsyncDisposableStack();
  const own = logger.child({ part: 'ssh' });
  const ssh = started.use(
    await startSsh({
      ...{ place: { fd: descriptor }, hostKey, programs, maxConnections },
      ...{ gatewaySocket: sockets.gateway, logger: own },
      authority: createSshAuthority(createSocketTransport(sockets.control)),
    }),
  );
  own.info({ port: ssh.port }, 'SSH is listening');
  const measuring = new AbortController();
  started.defer(() => measuring.abort());
  const figures = measureOwn(measuring.signal);
  const owned = started.move();
  return { figures, facts: { port: ssh.port }, stop: async () => await owned.disposeAsync() };
}
