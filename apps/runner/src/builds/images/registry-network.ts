import { createServer, connect, isIPv4 } from 'node:net';
import type { Server } from 'node:net';
import { openClosedNamespace } from '@soulbox/network';
import { createOutsideProxy } from '@soulbox/network/outside';
import type { Reach } from '@soulbox/network/outside';
import type { RegistryNetwork } from '@soulbox/templates';
import { placesOf } from './known-registries.ts';
import type { KnownRegistries } from './known-registries.ts';

/** Address of the proxy inside the namespace. Not 127.0.0.1, because a port there may belong to a registry. */
const proxy = { address: '127.83.66.88', port: 3128 } as const;

/** The network namespace in which images are fetched. Its only way out is a proxy that checks each connection. */
export interface ImageNetwork extends RegistryNetwork, AsyncDisposable {}

/**
 * Opens it. skopeo does not use a proxy for loopback addresses. So each allowed registry on the host's loopback gets a
 * server at the same address inside that forwards to it.
 */
export async function openImageNetwork(registries: KnownRegistries, reach: Reach): Promise<ImageNetwork> {
  const namespace = await openClosedNamespace();
  const servers: Server[] = [];
  const listen = async (server: Server, address: string, port: number): Promise<void> => {
    await namespace.listen(server, address, port);
    servers.push(server);
  };
  try {
    await listen(createOutsideProxy(reach), proxy.address, proxy.port);
    for (const { address, hostname, port } of loopbackPlaces(registries))
      await listen(createPassage(hostname, port), address, port);
  } catch (error) {
    namespace[Symbol.dispose]();
    throw error;
  }
  return {
    enter: namespace.enter,
    proxyUrl: `http://${proxy.address}:${proxy.port}`,
    [Symbol.asyncDispose]: () => {
      for (const server of servers) server.close();
      namespace[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}

function loopbackPlaces(registries: KnownRegistries): { address: string; hostname: string; port: number }[] {
  const places = new Map<string, { address: string; hostname: string; port: number }>();
  for (const { hostname, port } of placesOf(registries)) {
    const address = hostname === 'localhost' ? '127.0.0.1' : hostname;
    if (isIPv4(address) && address.startsWith('127.')) places.set(`${address}:${port}`, { address, hostname, port });
  }
  return [...places.values()];
}

/** A server that forwards connections to another one on the host. */
function createPassage(host: string, port: number): Server {
  return createServer((inside) => {
    const outside = connect(port, host);
    for (const [one, other] of [
      [inside, outside],
      [outside, inside],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
    inside.pipe(outside).pipe(inside);
  });
}
