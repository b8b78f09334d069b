import { chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { runFolder } from '@soulbox/isolation/run-folder';

/** All of the file system that the gateway has: sockets of those it calls. */
export interface GatewayFolder {
  readonly path: string;
  /** Seen from outside. */
  readonly sockets: { readonly runner: string; readonly control: string; readonly api: string };
  /** Seen from inside. */
  readonly innerSockets: { readonly runner: string; readonly control: string; readonly api: string };
}

/** Makes it anew. Nobody but root, the gateway's group and, for the sockets it serves, the control plane passes through. */
export async function makeGatewayFolder(
  instance: number,
  { gateway, control }: { readonly gateway: number; readonly control: number },
): Promise<GatewayFolder> {
  const path = join(runFolder(instance), 'gateway');
  await makeFolder(path, { owner: 0, group: gateway, mode: 0o710 });
  // The group of what is made in it is the folder's.
  await makeFolder(join(path, 'control'), { owner: control, group: gateway, mode: 0o2710 });
  const socketsIn = (folder: string): GatewayFolder['sockets'] => ({
    runner: join(folder, 'runner.sock'),
    control: join(folder, 'control', 'control.sock'),
    api: join(folder, 'control', 'api.sock'),
  });
  return { path, sockets: socketsIn(path), innerSockets: socketsIn('/') };
}

/** Where the control plane finds the sockets that it calls, and its part of the data folder whatever stands above that. */
export interface ControlFolder {
  readonly runner: string;
  readonly data: string;
}

/** Makes it anew. Nobody but root and its group passes through. */
export async function makeControlFolder(instance: number, control: number): Promise<ControlFolder> {
  const path = join(runFolder(instance), 'control');
  // Other users may pass through, not list it: it has files of the server, too.
  await chmod(runFolder(instance), 0o711);
  await makeFolder(path, { owner: 0, group: control, mode: 0o710 });
  const data = join(path, 'data');
  await mkdir(data, { mode: 0o700 });
  return { runner: join(path, 'runner.sock'), data };
}

async function makeFolder(
  path: string,
  { owner, group, mode }: { readonly owner: number; readonly group: number; readonly mode: number },
): Promise<void> {
  await removeTree(path);
  await mkdir(path, { recursive: true, mode: 0o700 });
  await chown(path, owner, group);
  await chmod(path, mode);
}
