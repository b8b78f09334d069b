import { lookup } from 'node:dns/promises';
import { SoulBoxError } from '@soulbox/base';
import { isClosedToSandboxes } from '@soulbox/network';

/** Registries that the server's owner knows, as `host` or `host:port`. */
export interface KnownRegistries {
  /** May be where sandboxes may not go. */
  readonly privateRegistries: readonly string[];
  /** Likewise, and speak plain HTTP or have a certificate that nobody vouches for. */
  readonly insecureRegistries: readonly string[];
}

export function isInsecure(registries: KnownRegistries, host: string): boolean {
  return registries.insecureRegistries.includes(host);
}

/**
 * The host itself asks the registry, and a tenant names it: what no sandbox may reach is refused, unless the owner of the server
 * has named it. Throws `image_unavailable`.
 */
export async function checkRegistry(registries: KnownRegistries, host: string): Promise<void> {
  if (isInsecure(registries, host) || registries.privateRegistries.includes(host)) return;
  const name = host === 'docker.io' ? 'registry-1.docker.io' : host.replace(/:[0-9]+$/, '');
  const addresses = await lookup(name, { all: true }).catch((cause: unknown) => {
    throw new SoulBoxError('image_unavailable', `The registry ${host} cannot be found.`, { cause });
  });
  if (!addresses.some(({ address }) => isClosedToSandboxes(address))) return;
  throw new SoulBoxError(
    'image_unavailable',
    `The registry ${host} is at a private address. The owner of the server can allow it: SOULBOX_PRIVATE_REGISTRIES.`,
  );
}
