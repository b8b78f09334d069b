import type { Duplex, Readable, Writable } from 'node:stream';

/** Names and values in turn, as they stood on the wire, duplicates and order kept. */
export type RawHeaders = readonly string[];

/**
 * One request and its answer, whatever the protocol of the client. Both adapters (`http1.ts`, `http2.ts`) give this
 * shape, so that routing and forwarding are written once.
 */
export interface Exchange {
  readonly method: string;
  /** Request target as received; origin form, absolute form or `*`. */
  readonly target: string;
  /** Host header or `:authority`, as received. Undefined when there is none. */
  readonly authority: string | undefined;
  /** Without pseudo-headers. */
  readonly headers: RawHeaders;
  readonly protocol: 'http/1.0' | 'http/1.1' | 'http/2';
  readonly secure: boolean;
  readonly remoteAddress: string;
  readonly body: Readable;
  /** False when the head said that no body follows. */
  readonly hasBody: boolean;
  /** Trailers of the request; complete when `body` has ended. */
  bodyTrailers(): RawHeaders;
  /** The client waits for 100 before it sends its body. */
  readonly expectsContinue: boolean;
  /** The protocol the client wants to switch to, for exchanges that came as an upgrade. */
  readonly upgrade: string | undefined;

  /** True once a status line left. */
  readonly headSent: boolean;
  /** The final status that was sent, else 0. */
  readonly status: number;
  readonly closed: boolean;
  sendContinue(): void;
  /** Values of Link, the only header of an early hint that is passed on: what guards the headers of answers does not see these. */
  sendEarlyHints(links: readonly string[]): void;
  /** Sends the status and gives the stream the body goes to. Throws on a status or header Node refuses. */
  sendHead(status: number, statusText: string, headers: RawHeaders): Writable;
  /** Trailers that go out when the stream of `sendHead` ends. */
  setTrailers(headers: RawHeaders): void;
  /** Answers an upgrade with success and gives the raw stream to the client. */
  acceptUpgrade(headers: RawHeaders): Duplex;
  /** Breaks the exchange off so that the client sees an error, never a clean end. */
  reset(): void;
  /** Calls once, when the answer went out or the client left. */
  onClose(listener: () => void): void;
}

/** First value of a header; `name` in lower case. */
export function findHeader(headers: RawHeaders, name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index]?.toLowerCase() === name) return headers[index + 1];
  }
  return undefined;
}

/** Every value of a header; `name` in lower case. */
export function headerValues(headers: RawHeaders, name: string): string[] {
  const values: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const value = headers[index + 1];
    if (headers[index]?.toLowerCase() === name && value !== undefined) values.push(value);
  }
  return values;
}
