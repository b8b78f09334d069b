import { isIP } from 'node:net';
import type { Socket } from 'node:net';
import { EgressRefusal } from '../judge/refusal.ts';
import type { EgressProxy } from '../policies/policed-sandbox.ts';
import type { Lookups } from '../resolver/lookups.ts';
import { connectSocket } from '../sockets/socket-reader.ts';
import type { Dialed, DialDirectly, DialThroughProxy } from './dial.ts';

/** How long one address has to accept a connection. Milliseconds. */
const connectMs = 10_000;
/** Maximum addresses of a name that are tried. */
const addressesMax = 3;

/** Where to connect, and for whom. */
export interface DialRequest {
  readonly teamId: string;
  /** A name in the form of `normalizeName`, or an IPv4 address. */
  readonly host: string;
  readonly port: number;
  /** Whether the policy accepts this address of the name. Absent: every address that is open to sandboxes. */
  readonly accepts?: ((address: string) => boolean) | undefined;
  /** Absent: directly. */
  readonly proxy?: EgressProxy | undefined;
  readonly signal: AbortSignal;
}

/** Opens connections to the outside for sandboxes. Throws `EgressRefusal`, or the reason of the signal. */
export type Dial = (request: DialRequest) => Promise<Dialed>;

export function createDialer(options: {
  readonly lookups: Lookups;
  readonly isOpen: (address: string) => boolean;
  readonly dialThroughProxy: DialThroughProxy;
}): Dial {
  const { lookups, isOpen, dialThroughProxy } = options;
  const addressesOf = async (teamId: string, host: string): Promise<readonly string[]> => {
    if (isIP(host) === 4) return [host];
    const found = await lookups.find(teamId, host, 'A');
    if (found.addresses.length > 0) return found.addresses;
    throw new EgressRefusal(found.hasForbidden ? 'forbidden_address' : 'name_unknown');
  };
  const checked = async ({ teamId, host, accepts = () => true }: DialRequest): Promise<string[]> => {
    const addresses = await addressesOf(teamId, host);
    // Also for names, because answers are kept and the host's own addresses change.
    const open = addresses.filter(isOpen);
    if (open.length === 0) throw new EgressRefusal('forbidden_address');
    const accepted = open.filter(accepts);
    if (accepted.length === 0) throw new EgressRefusal('denied');
    return accepted.slice(0, addressesMax);
  };
  return async (request) => {
    const { teamId, proxy, port, signal } = request;
    const addresses = await checked(request);
    signal.throwIfAborted();
    const [address = ''] = addresses;
    if (proxy === undefined) return await connectToFirst(addresses, port, signal);
    const dialDirectly: DialDirectly = async (host, proxyPort, within) =>
      await connectToFirst(await checked({ teamId, host, port: proxyPort, signal: within }), proxyPort, within);
    const socket = await dialThroughProxy({ proxy, destination: { address, port }, dialDirectly, signal });
    return { socket, address };
  };
}

async function connectToFirst(addresses: readonly string[], port: number, signal: AbortSignal): Promise<Dialed> {
  let cause: unknown;
  for (const address of addresses) {
    try {
      return { socket: await connectTo(address, port, signal), address };
    } catch (error) {
      signal.throwIfAborted();
      cause = error;
    }
  }
  throw new EgressRefusal('upstream_failed', { cause });
}

async function connectTo(address: string, port: number, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const socket = connectSocket({ host: address, port, allowHalfOpen: true, noDelay: true });
  return await new Promise((resolve, reject) => {
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.removeListener('error', onError);
    };
    const fail = (error: Error): void => {
      settle();
      socket.on('error', () => undefined).destroy();
      reject(error);
    };
    const onError = (error: Error): void => fail(error);
    const onAbort = (): void => fail(new Error('aborted'));
    const timer = setTimeout(() => fail(new Error(`no connection within ${connectMs} ms`)), connectMs);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once('connect', () => {
      settle();
      resolve(socket);
    });
  });
}
