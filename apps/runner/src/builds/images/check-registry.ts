import { lookup } from 'node:dns/promises';
import { SoulBoxError } from '@soulbox/base';
import type { OutsidePolicy } from '@soulbox/network/outside';
import { isKnown } from './known-registries.ts';
import type { KnownRegistries } from './known-registries.ts';

/**
 * A tenant names the registry, and the host connects to it. A registry that no sandbox may reach is refused unless the
 * server's owner has named it. This check exists only for an early and exact error: `registry-network.ts` decides for
 * each connection. Throws `image_unavailable`.
 */
export async function checkRegistry(registries: KnownRegistries, outside: OutsidePolicy, host: string): Promise<void> {
  const { hostname, port } = splitHost(host);
  if (isKnown(registries, hostname, port)) return;
  const addresses = await lookup(hostname, { all: true }).catch((cause: unknown) => {
    throw new SoulBoxError('image_unavailable', `The registry ${host} was not found.`, { cause });
  });
  if (addresses.every(({ address }) => outside.isOpen(address))) return;
  throw new SoulBoxError(
    'image_unavailable',
    `The registry ${host} has a private address. The operator of the server can allow it with SOULBOX_PRIVATE_REGISTRIES.`,
  );
}

function splitHost(host: string): { hostname: string; port: number } {
  const [, hostname = '', port = '443'] = /^(.*?)(?::([0-9]+))?$/.exec(host) ?? [];
  return { hostname: host === 'docker.io' ? 'registry-1.docker.io' : hostname, port: Number(port) };
}
