import type { Holding } from './unread.ts';
import type { Upstream } from './upstream.ts';

/** What is passed on over HTTP/1.1, and to where. */
export interface Http1Forward {
  readonly upstream: Upstream;
  readonly path: string;
  /** All but the headers that frame the body. */
  readonly headers: readonly string[];
  /** Where what waits for a slow reader is counted. */
  readonly holding: Holding;
  /** Whether the body of the answer lies in this server's memory until it is read. */
  readonly isOurs?: boolean;
  /** Takes how the answer is to be broken off when the sandbox is gone, where the client can be told. */
  readonly onAnswer?: ((breakOff: () => void) => void) | undefined;
  /** Called when no answer came; it may send one. An answer that breaks off later is reset without it. */
  readonly onFailure: (error: Error) => void;
}
