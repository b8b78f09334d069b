import { lookup } from 'node:dns/promises';
import { SoulBoxError } from '@soulbox/base';
import type { OutsidePolicy } from '@soulbox/network/outside';
import { isKnown } from './known-registries.ts';
import type { KnownRegistries } from './known-registries.ts';

/**
 * The host itself asks the registry, and a tenant names it: what no sandbox may reach is refused, unless the owner of the server has
 * named it. This only tells at once and exactly; what is reached is decided connection by connection (`registry-network.ts`). Throws
 * `image_unavailable`.
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
