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

/** Makes it anew. Nobody but root and the gateway's group passes through. */
export async function makeGatewayFolder(instance: number, gatewayId: number): Promise<GatewayFolder> {
  const path = join(runFolder(instance), 'gateway');
  await removeTree(path);
  await mkdir(path, { recursive: true, mode: 0o710 });
  await chown(path, 0, gatewayId);
  await chmod(path, 0o710);
  const at = (name: string): string => join(path, name);
  return {
    path,
    sockets: { runner: at('runner.sock'), control: at('control.sock'), api: at('api.sock') },
    innerSockets: { runner: '/runner.sock', control: '/control.sock', api: '/api.sock' },
  };
}
