import { closeSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bindTcp, bindUnix, userOf } from '@soulbox/process';
import { bundleSshPrograms } from '@soulbox/sftp-server/build';
import type { SshProcessSettings } from '@soulbox/ssh';
import type { BoxConfig } from '../config.ts';
import { loadPart } from './keep-part.ts';
import type { KeepOptions, LoadingPart } from './keep-part.ts';
import { firstDescriptor } from './launch.ts';
import { makeSshFolder } from './part-folders.ts';
import type { SshFolder } from './part-folders.ts';

const sshMain = fileURLToPath(import.meta.resolve('@soulbox/ssh/main'));

export interface SshPartOptions extends Pick<KeepOptions, 'logger' | 'launch' | 'onGivenUp' | 'onProcess'> {
  readonly environment: Readonly<Record<string, string>>;
  readonly logLevel: string;
  readonly maxConnections: number;
}

/** What the SSH process needs that only root can make, and what others need to know of it. */
export interface SshPart extends Disposable {
  readonly id: number;
  readonly folder: SshFolder;
  /** The public half of the host key. */
  readonly hostKey: string;
  /** The socket on which the process reaches the gateway. */
  readonly gatewaySocket: number;
  load(options: SshPartOptions): LoadingPart;
}

/** Strangers reach it, so it is a process of its own. `control` is the user of the control plane. */
export async function prepareSsh(config: BoxConfig, control: number): Promise<SshPart> {
  const { instance } = config.runner;
  using made = new DisposableStack();
  const id = userOf(instance, 'ssh');
  const folder = await makeSshFolder(instance, { ssh: id, control });
  const { openHostKey } = await import('@soulbox/ssh/host-key');
  const directory = join(config.dataDirectory, 'ssh');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const hostKey = await openHostKey(join(directory, 'host-key'));
  const port = await bindTcp(config.gateway.host, config.ssh.port);
  let isOpen = true;
  const closePort = (): void => {
    if (isOpen) closeSync(port);
    isOpen = false;
  };
  made.defer(closePort);
  const gatewaySocket = bindUnix(folder.sockets.gateway, id);
  made.defer(() => closeSync(gatewaySocket));
  const programs = await bundleSshPrograms();
  const owned = made.move();
  return {
    ...{ id, folder, hostKey: hostKey.publicKey, gatewaySocket },
    load: ({ environment, logLevel, maxConnections, onGivenUp, ...kept }) =>
      loadPart({
        ...kept,
        onGivenUp(err) {
          closePort();
          onGivenUp(err);
        },
        plan: {
          name: 'ssh',
          logNames: ['ssh'],
          program: sshMain,
          // It inherits its port, and reaches sandboxes through the gateway.
          namespaces: ['--net', '--ipc'],
          descriptors: [port],
          environment,
        },
        settings: (): SshProcessSettings & { logLevel: string } => ({
          logLevel,
          cell: { id, root: folder.path },
          maxConnections,
          hostKey: hostKey.privateKey,
          programs,
          descriptor: firstDescriptor,
          sockets: folder.innerSockets,
        }),
      }),
    [Symbol.dispose]: () => owned.dispose(),
  };
}
