import type { Holding } from './unread.ts';
import type { Upstream } from './upstream.ts';

/** A request to forward over HTTP/1.1, and its destination. */
export interface Http1Forward {
  readonly upstream: Upstream;
  readonly path: string;
  /** All headers except those that frame the body. */
  readonly headers: readonly string[];
  /** Counts the data that waits for a slow reader. */
  readonly holding: Holding;
  /** Whether the body of the answer stays in this server's memory until it is read. */
  readonly isOurs?: boolean;
  /**
   * Receives a function that ends the answer when the sandbox is gone. Only called for answers whose clients can be
   * notified.
   */
  readonly onAnswer?: ((breakOff: () => void) => void) | undefined;
  /** Called when no answer came. It may send one. An answer that breaks later is reset without this call. */
  readonly onFailure: (error: Error) => void;
}
