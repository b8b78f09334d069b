import type { Connection } from 'ssh2';
import handlers from 'ssh2/lib/protocol/handlers.js';
import type { Protocol } from 'ssh2/lib/protocol/handlers.js';
import { protocolOf } from './library.ts';
import { globalRequestsMax } from './limits.ts';

/** A request to listen on a port of the sandbox, or to stop (RFC 4254, section 7.1). */
export interface ForwardRequest {
  readonly kind: 'forward' | 'cancel';
  readonly host: string;
  /** 0: any. */
  readonly port: number;
}

/** Whether the request is granted; of a request for any port, the one that was chosen. */
export type ForwardAnswer = boolean | { readonly port: number };

/** SSH_MSG_GLOBAL_REQUEST (RFC 4254, section 4) */
const globalRequest = 80;
const kinds: Readonly<Record<string, ForwardRequest['kind']>> = {
  'tcpip-forward': 'forward',
  'cancel-tcpip-forward': 'cancel',
};
const hostMaxBytes = 255;

type Take = (name: string, data: Buffer, wantsAnswer: boolean) => void;
const served = new WeakMap<Protocol, Take>();
let isDone = false;

/**
 * Makes servers of this process read global requests here. The library would parse them before the client has signed in, and
 * public keys in them with expressions that take quadratic time. Until a client is served, everything is refused unread.
 */
export function takeGlobalRequests(): void {
  const usual = handlers[globalRequest];
  if (isDone || usual === undefined) return;
  isDone = true;
  handlers[globalRequest] = (protocol, payload) => {
    if (!protocol._server) {
      usual(protocol, payload);
      return;
    }
    // The name, with its length, and whether the client wants an answer.
    const nameBytes = payload.length < 5 ? 0 : payload.readUInt32BE(1);
    const wantsAnswer = payload[5 + nameBytes];
    if (wantsAnswer === undefined) throw new Error('A global request is malformed.');
    const take = served.get(protocol);
    if (take !== undefined) {
      const name = payload.toString('latin1', 5, 5 + Math.min(nameBytes, hostMaxBytes));
      take(name, payload.subarray(6 + nameBytes), wantsAnswer !== 0);
    } else if (wantsAnswer !== 0) protocol.requestFailure();
  };
}

/**
 * Serves the requests of a client that has signed in, one after the other: SSH has the answers in the order of the requests.
 * Others than those for ports are refused. `cut` is called when too many wait.
 */
export function serveGlobalRequests(
  client: Connection,
  serve: (request: ForwardRequest) => Promise<ForwardAnswer>,
  cut: (why: string) => void,
): void {
  const protocol = protocolOf(client);
  let waiting = 0;
  let turn = Promise.resolve();
  const answer = async (request: ForwardRequest | undefined, wantsAnswer: boolean): Promise<void> => {
    const granted = request === undefined ? false : await serve(request).catch(() => false);
    waiting -= 1;
    if (!wantsAnswer) return;
    if (granted === false) protocol.requestFailure();
    else protocol.requestSuccess(typeof granted === 'object' ? u32(granted.port) : undefined);
  };
  served.set(protocol, (name, data, wantsAnswer) => {
    const request = requestFrom(name, data);
    if (request === undefined && !wantsAnswer) return;
    waiting += 1;
    if (waiting > globalRequestsMax) cut('it does not wait for answers to its global requests');
    else turn = turn.then(async () => await answer(request, wantsAnswer));
  });
}

function requestFrom(name: string, data: Buffer): ForwardRequest | undefined {
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  if (kind === undefined || data.length < 8) return undefined;
  const hostBytes = data.readUInt32BE(0);
  if (hostBytes > hostMaxBytes || data.length < 8 + hostBytes) return undefined;
  return { kind, host: data.toString('latin1', 4, 4 + hostBytes), port: data.readUInt32BE(4 + hostBytes) };
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
