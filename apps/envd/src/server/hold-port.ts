import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { networkInterfaces } from 'node:os';

/**
 * Listens on `port` at each address of the sandbox by itself, beside the listener of all addresses.
 *
 * gVisor (20240729) lets any user listen on a port that another program listens on at all addresses, if the user names
 * one address and sets SO_REUSEADDR. The kernel then gives that user the connections to this address. So a user could
 * receive the requests for envd with their tokens, and answer them. Two listeners with the same address are refused.
 * Linux refuses both, and so refuses these listeners, too: nothing is held then.
 */
export async function holdPort(
  port: number,
  onSocket: (socket: Socket) => void,
  options: { allowHalfOpen?: boolean } = {},
): Promise<void> {
  for (const address of ownAddresses()) {
    const server = createServer({ ...options, noDelay: true }, onSocket);
    server.on('error', () => undefined);
    server.listen({ port, host: address, ipv6Only: address.includes(':') });
    await Promise.race([once(server, 'listening'), once(server, 'error')]).catch(() => undefined);
  }
}

function ownAddresses(): string[] {
  const entries = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return [...new Set(entries.map(({ address }) => address))];
}
