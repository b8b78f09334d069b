import { chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { runFolder } from '@soulbox/isolation/run-folder';

/** The gateway's whole file system: the sockets of the processes that it calls. */
export interface GatewayFolder {
  readonly path: string;
  /** Paths as seen from outside. */
  readonly sockets: { readonly runner: string; readonly control: string; readonly api: string };
  /** Paths as seen from inside. */
  readonly innerSockets: { readonly runner: string; readonly control: string; readonly api: string };
}

/** Recreates the folder. Only root and the gateway's group may enter it. The control plane belongs to that group: it serves the gateway here, and calls the runner. */
export async function makeGatewayFolder(
  instance: number,
  { gateway, control }: { readonly gateway: number; readonly control: number },
): Promise<GatewayFolder> {
  const path = join(runFolder(instance), 'gateway');
  await makeFolder(path, { owner: 0, group: gateway, mode: 0o710 });
  // New entries inherit the group of this folder.
  await makeFolder(join(path, 'control'), { owner: control, group: gateway, mode: 0o2710 });
  const socketsIn = (folder: string): GatewayFolder['sockets'] => ({
    runner: join(folder, 'runner.sock'),
    control: join(folder, 'control', 'control.sock'),
    api: join(folder, 'control', 'api.sock'),
  });
  return { path, sockets: socketsIn(path), innerSockets: socketsIn('/') };
}

/**
 * Recreates the folder in which the control plane sees its part of the data folder, and returns that place. It does not
 * depend on the access rights of the folders above the data folder. Only root and the control plane may enter it.
 */
export async function makeControlFolder(instance: number, control: number): Promise<string> {
  const path = join(runFolder(instance), 'control');
  // Other users may enter it but not list it, because it also has files of the server.
  await chmod(runFolder(instance), 0o711);
  await makeFolder(path, { owner: 0, group: control, mode: 0o710 });
  const data = join(path, 'data');
  await mkdir(data, { mode: 0o700 });
  return data;
}

/** The egress process's whole file system: the sockets of the processes that it calls. */
export interface EgressFolder {
  readonly path: string;
  /** Paths as seen from outside. */
  readonly sockets: { readonly runner: string; readonly control: string };
  /** Paths as seen from inside. */
  readonly innerSockets: { readonly runner: string; readonly control: string };
}

/** Recreates the folder. The control plane belongs to the group of the egress process, as to the gateway's. */
export async function makeEgressFolder(
  instance: number,
  { egress, control }: { readonly egress: number; readonly control: number },
): Promise<EgressFolder> {
  const path = join(runFolder(instance), 'egress');
  await makeFolder(path, { owner: 0, group: egress, mode: 0o710 });
  await makeFolder(join(path, 'control'), { owner: control, group: egress, mode: 0o2710 });
  const socketsIn = (folder: string): EgressFolder['sockets'] => ({
    runner: join(folder, 'runner.sock'),
    control: join(folder, 'control', 'control.sock'),
  });
  return { path, sockets: socketsIn(path), innerSockets: socketsIn('/') };
}

/** The SSH process's whole file system: the sockets of the processes that it calls. */
export interface SshFolder {
  readonly path: string;
  /** Paths as seen from outside. */
  readonly sockets: { readonly gateway: string; readonly control: string };
  /** Paths as seen from inside. */
  readonly innerSockets: { readonly gateway: string; readonly control: string };
}

/** Recreates the folder. The control plane belongs to the group of the SSH process, as to the gateway's. */
export async function makeSshFolder(
  instance: number,
  { ssh, control }: { readonly ssh: number; readonly control: number },
): Promise<SshFolder> {
  const path = join(runFolder(instance), 'ssh');
  await makeFolder(path, { owner: 0, group: ssh, mode: 0o710 });
  await makeFolder(join(path, 'control'), { owner: control, group: ssh, mode: 0o2710 });
  const socketsIn = (folder: string): SshFolder['sockets'] => ({
    gateway: join(folder, 'gateway.sock'),
    control: join(folder, 'control', 'control.sock'),
  });
  return { path, sockets: socketsIn(path), innerSockets: socketsIn('/') };
}

/**
 * Where a process that control and the runner call has its socket, and where it sees its data: the volume service its
 * whole file system, the process of the object store a store on local disk.
 */
export interface ServiceFolder {
  readonly path: string;
  readonly socket: string;
  readonly data: string;
}

/** Recreates the folder. The control plane belongs to the group of the process. */
export async function makeServiceFolder(
  instance: number,
  part: 'volumes' | 'buckets' | 'objects',
  group: number,
): Promise<ServiceFolder> {
  const path = join(runFolder(instance), part);
  await makeFolder(path, { owner: 0, group, mode: 0o710 });
  const data = join(path, 'data');
  await mkdir(data, { mode: 0o700 });
  return { path, socket: join(path, `${part}.sock`), data };
}

/** The bucket service also asks control. */
export interface BucketsFolder extends ServiceFolder {
  readonly controlSocket: string;
}

/** Recreates the folder. The control plane belongs to the group of the bucket service, and serves it here. */
export async function makeBucketsFolder(
  instance: number,
  { buckets, control }: { readonly buckets: number; readonly control: number },
): Promise<BucketsFolder> {
  const folder = await makeServiceFolder(instance, 'buckets', buckets);
  const path = join(runFolder(instance), 'buckets', 'control');
  await makeFolder(path, { owner: control, group: buckets, mode: 0o2710 });
  return { ...folder, controlSocket: join(path, 'control.sock') };
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
