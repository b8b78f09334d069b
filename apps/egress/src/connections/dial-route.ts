import type { Route } from '../judge/judge-connection.ts';
import type { Dialed } from '../upstream/dial.ts';
import type { ConnectionContext } from './context.ts';
import type { JudgedConnection } from './judged-connection.ts';

/** Connects to where the route leads. An address of a name that no entry allows is judged like any address. */
export async function dialRoute(
  { dial }: ConnectionContext,
  judged: JudgedConnection,
  route: Exclude<Route, { kind: 'refuse' }>,
): Promise<Dialed> {
  const { destination, signal } = judged;
  const { teamId, proxy } = judged.sandbox();
  const { port } = destination;
  if (route.kind === 'to-address') return await dial({ teamId, host: destination.address, port, proxy, signal });
  const accepts = (address: string): boolean => judged.accepts(route.name, address);
  const dialed = await dial({ teamId, host: route.name, port, accepts, proxy, signal });
  try {
    judged.connected(route.name, dialed.address);
  } catch (thrown) {
    dialed.socket.destroy();
    throw thrown;
  }
  return dialed;
}
