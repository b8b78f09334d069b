import type { Duplex, Readable, Writable } from 'node:stream';

/** Alternating names and values, as they were on the wire, with duplicates and in order. */
export type RawHeaders = readonly string[];

/**
 * One request and its answer, whatever the client's protocol. Both adapters (`http1.ts`, `http2.ts`) have this
 * interface, so routing and forwarding are written only once.
 */
export interface Exchange {
  readonly method: string;
  /** The request target as received: origin form, absolute form or `*`. */
  readonly target: string;
  /** The Host header or `:authority` as received. Undefined if there is none. */
  readonly authority: string | undefined;
  /** Without pseudo-headers. */
  readonly headers: RawHeaders;
  readonly protocol: 'http/1.0' | 'http/1.1' | 'http/2';
  readonly secure: boolean;
  readonly remoteAddress: string;
  /** Of the connection to us, also behind a proxy. 0 if it has none. */
  readonly remotePort: number;
  /** Whether a program of this host has sent the request directly. */
  readonly local: boolean;
  readonly body: Readable;
  /** False if the head says that no body follows. */
  readonly hasBody: boolean;
  /** The trailers of the request. They are complete when `body` has ended. */
  bodyTrailers(): RawHeaders;
  /** The client waits for status 100 before it sends its body. */
  readonly expectsContinue: boolean;
  /** The protocol to switch to, if the exchange is an upgrade. */
  readonly upgrade: string | undefined;

  /** True once a status line was sent. */
  readonly headSent: boolean;
  /** The final status that was sent, otherwise 0. */
  readonly status: number;
  readonly closed: boolean;
  sendContinue(): void;
  /**
   * Sends Link values, the only header of an early hint that is passed on. The code that guards the headers of answers
   * does not see early hints.
   */
  sendEarlyHints(links: readonly string[]): void;
  /** Sends the status and returns the stream for the body. Throws if Node rejects the status or a header. */
  sendHead(status: number, statusText: string, headers: RawHeaders): Writable;
  /** Sets the trailers that are sent when the stream of `sendHead` ends. */
  setTrailers(headers: RawHeaders): void;
  /** Accepts an upgrade and returns the raw stream to the client. */
  acceptUpgrade(headers: RawHeaders): Duplex;
  /** Aborts the exchange. The client sees an error, never a normal end. */
  reset(): void;
  /** Calls the listener once, when the answer was sent or the client left. */
  onClose(listener: () => void): void;
}

/** The first value of a header. `name` is in lower case. */
export function findHeader(headers: RawHeaders, name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index]?.toLowerCase() === name) return headers[index + 1];
  }
  return undefined;
}

/** All values of a header. `name` is in lower case. */
export function headerValues(headers: RawHeaders, name: string): string[] {
  const values: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const value = headers[index + 1];
    if (headers[index]?.toLowerCase() === name && value !== undefined) values.push(value);
  }
  return values;
}
