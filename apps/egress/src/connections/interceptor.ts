import type { Duplex } from 'node:stream';
import type { EgressReason } from '@soulbox/contract';
import type { Verdict } from '../judge/verdict.ts';
import type { PolicedSandbox } from '../policies/policed-sandbox.ts';
import type { Dialed } from '../upstream/dial.ts';

/**
 * A connection of a sandbox to a host that has a `HostRule`, judged and allowed by its first bytes (SNI or Host). Who
 * takes it over judges each of its requests.
 */
export interface InterceptedConnection {
  /**
   * The sandbox's end. Its first byte is the first that the sandbox sent. Byte limits and rates already apply to it, so
   * it need not be a `net.Socket`. It may be destroyed at any moment.
   */
  readonly client: Duplex;
  /** `https`: the first bytes are a TLS ClientHello. `http`: they are an HTTP/1 request head. */
  readonly scheme: 'http' | 'https';
  /** The host name that SNI or Host named, in the form of `normalizeName`. */
  readonly name: string;
  readonly port: number;
  /** The policy in effect at this moment. Read it for each request: header rules may change while a connection lives. */
  sandbox(): PolicedSandbox;
  /**
   * Judges a host name that a request names (Host, `:authority`), on this port. A request must go to the host that it
   * names: refuse it with `name_mismatch` (421) if that is not `name`, unless this allows it and `dial(thatName)` is used.
   */
  judge(name: string): Verdict;
  /**
   * Opens a new TCP connection to this host, on the same port, directly or through the egress proxy. Throws
   * `EgressRefusal`. Its bytes are not counted; the client's are.
   */
  dial(name: string): Promise<Dialed>;
  /** Aborts when the connection must end (policy changed, byte limit, idle). `client` is then destroyed as well. */
  readonly signal: AbortSignal;
  /** Adds a request to the connection log. */
  record(request: InterceptedRequest): void;
}

export interface InterceptedRequest {
  readonly startedAtMs: number;
  readonly name: string;
  /** The address that was connected. Empty if it was refused before. */
  readonly address: string;
  readonly method: string;
  /** Without its query. */
  readonly path: string;
  readonly rule: string;
  /** Undefined: it was allowed and ended normally. */
  readonly reason: EgressReason | undefined;
  readonly isAllowed: boolean;
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/** Takes connections over. The interception of TLS and HTTP implements it (`../interception`). */
export interface Interceptor extends AsyncDisposable {
  /**
   * Resolves when the connection has ended and all that was opened for it is closed. Never rejects because of what a peer
   * did. Throws `EgressRefusal` if it can do nothing with the connection; the caller then resets it and logs the reason.
   */
  intercept(connection: InterceptedConnection): Promise<void>;
}
