import { Socket, isIP } from 'node:net';
import type { LookupFunction } from 'node:net';
import { ForbiddenAddressError } from './guarded-lookup.ts';

export interface ConnectionRule {
  /** Whether a literal address may be connected. Names are resolved and checked by `lookup`. */
  readonly isAllowed: (hostname: string, address: string) => boolean;
  readonly lookup: LookupFunction;
  /** Paths of Unix sockets that may be connected. */
  readonly sockets: readonly string[];
}

interface Target {
  readonly host?: unknown;
  readonly port?: unknown;
  readonly path?: unknown;
}

type Connect = (this: Socket, ...args: readonly unknown[]) => Socket;

/**
 * From now on, no code of this process opens a TCP or Unix connection against the rule, whichever library it is, after
 * whatever redirect: all of them, `fetch` included, end in `connect` of Node's sockets. One that is refused fails with
 * `ForbiddenAddressError`. For a process that connects for strangers only. Disposing ends it, for tests.
 */
export function guardConnections({ isAllowed, lookup, sockets }: ConnectionRule): Disposable {
  const known = new Set(sockets);
  const prototype = Socket.prototype as unknown as { connect: Connect };
  const original = prototype.connect;

  const isRefused = ({ host, path }: Target): boolean => {
    if (isPath(path)) return typeof path !== 'string' || !known.has(path);
    if (typeof host !== 'string') return true;
    const address = host.replace(/^\[|\]$/g, '');
    return isIP(address) !== 0 && !isAllowed(address, address);
  };
  const guarded: Connect = function (this: Socket, ...args) {
    // Node's own modules call it with what they have read of their arguments, in an array with a mark.
    const [first, ...rest] = args;
    const isRead = Array.isArray(first);
    const given = isRead ? (first as unknown[])[0] : targetOf(args);
    const asked = given as Target;
    const target = { ...asked, ...(!isPath(asked.path) && { host: asked.host ?? 'localhost', lookup }) };
    if (isRefused(target)) return this.destroy(new ForbiddenAddressError());
    if (!isRead) return original.call(this, target, ...rest.filter((value) => typeof value === 'function'));
    (first as unknown[])[0] = target;
    return original.call(this, first, ...rest);
  };
  prototype.connect = guarded;
  return {
    [Symbol.dispose]() {
      prototype.connect = original;
    },
  };
}

/** As Node sees it: an empty text and null are none. */
const isPath = (path: unknown): boolean => Boolean(path);

/** The forms of https://nodejs.org/api/net.html#socketconnect. */
function targetOf([first, second]: readonly unknown[]): Target {
  if (typeof first === 'object' && first !== null) return first;
  if (typeof first === 'string' && !/^\d+$/.test(first)) return { path: first };
  return { port: first, host: typeof second === 'string' ? second : undefined };
}
