import { addressFromNumber, numberFromAddress } from '@soulbox/network/cidr';
import type { FirstBytes } from '../first-bytes/first-bytes.ts';
import { isSameRoute, judgeAddress, judgeConnection, judgeName, needsFirstBytes } from '../judge/judge-connection.ts';
import type { Attempt, Route } from '../judge/judge-connection.ts';
import { EgressRefusal } from '../judge/refusal.ts';
import { findHostRule } from '../policies/policed-sandbox.ts';
import type { EgressProxy, PolicedSandbox } from '../policies/policed-sandbox.ts';
import type { PolicyEntry } from '../policies/policy-table.ts';

/** What is known about one connection, and whether its sandbox may still have it. */
export interface JudgedConnection extends Disposable {
  readonly destination: { readonly address: string; readonly port: number };
  sandbox(): PolicedSandbox;
  needsFirstBytes(): boolean;
  /** Judges it by its first bytes; `undefined` if they were not needed. From now on it is judged again with each change. */
  judge(first: FirstBytes | undefined): Route;
  /** Judges another name on the same connection. */
  judgeName(first: FirstBytes): Route;
  /**
   * Whether the policy accepts this address of a name. It is also asked with each change: the sandbox may have named the
   * host with another address, by which the connection was judged before.
   */
  accepts(name: string, address: string): boolean;
  /** It was connected to this address of the name. Throws the signal's reason if the policy forbids that by now. */
  connected(name: string, address: string): void;
  /** Aborts with an `EgressRefusal` when the connection must end. */
  readonly signal: AbortSignal;
  end(reason: EgressRefusal['reason']): void;
}

export function openJudgedConnection(
  entry: PolicyEntry,
  destination: { readonly address: string; readonly port: number },
): JudgedConnection {
  const stop = new AbortController();
  const address = numberFromAddress(destination.address);
  const { port } = destination;
  const isProxied = entry.current.proxy;
  let judged: { attempt: Attempt; route: Route; requests: string } | undefined;
  /** The last one, if several were opened one after the other for an intercepted connection. */
  let connectedTo: { readonly name: string; readonly address: string } | undefined;
  const end = (reason: EgressRefusal['reason']): void => stop.abort(new EgressRefusal(reason));

  const accepts = (sandbox: PolicedSandbox, name: string, to: string): boolean =>
    judgeName(sandbox, name, port) !== undefined || judgeAddress(sandbox, numberFromAddress(to), port).isAllowed;
  const mayStay = (sandbox: PolicedSandbox): boolean => {
    if (!isSameProxy(isProxied, sandbox.proxy)) return false;
    if (judged === undefined) return true;
    // Nothing was read from which the new policy could judge it.
    if (judged.attempt.first === undefined && needsFirstBytes(sandbox, address, port)) return false;
    if (connectedTo !== undefined && !accepts(sandbox, connectedTo.name, connectedTo.address)) return false;
    const route = judgeConnection(sandbox, judged.attempt);
    if (route.kind === 'refuse' || !isSameRoute(route, judged.route)) return false;
    // A request or a WebSocket that is open now was judged when it began.
    return requestsOf(sandbox, route) === judged.requests;
  };
  const watcher = {
    onPolicy(sandbox: PolicedSandbox | undefined): void {
      if (sandbox === undefined || !mayStay(sandbox)) end('policy_changed');
      else if (entry.usage.isUsedUp()) end('byte_limit');
    },
  };
  entry.watchers.add(watcher);
  return {
    destination: { address: addressFromNumber(address), port },
    sandbox: () => entry.current,
    needsFirstBytes: () => needsFirstBytes(entry.current, address, port),
    judge(first) {
      const attempt: Attempt = { address, port, first };
      const route = judgeConnection(entry.current, attempt);
      judged = { attempt, route, requests: requestsOf(entry.current, route) };
      return route;
    },
    judgeName: (first) => judgeConnection(entry.current, { address, port, first }),
    accepts: (name, to) => accepts(entry.current, name, to),
    connected(name, to) {
      connectedTo = { name, address: to };
      if (!accepts(entry.current, name, to)) end('policy_changed');
      stop.signal.throwIfAborted();
    },
    signal: stop.signal,
    end,
    [Symbol.dispose]: () => void entry.watchers.delete(watcher),
  };
}

/** The requests that the rule for the host allows, in a form that can be compared. */
function requestsOf(sandbox: PolicedSandbox, route: Route): string {
  if (route.kind !== 'intercept') return '';
  const requests = findHostRule(sandbox, route.name)?.requests ?? [];
  return JSON.stringify(requests.map(({ methods, paths }) => [methods, paths]));
}

function isSameProxy(one: EgressProxy | undefined, other: EgressProxy | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return (
    one.host === other.host &&
    one.port === other.port &&
    one.credentials?.username === other.credentials?.username &&
    (one.credentials?.password.equals(other.credentials?.password.reveal() ?? '') ?? true)
  );
}
