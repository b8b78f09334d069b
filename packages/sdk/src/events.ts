import { createEvents } from '@soulbox/client';
import type { ClientEvent, ClientEvents } from '@soulbox/client';
import { errorFrom } from './error.ts';
import type { SoulBoxError } from './error.ts';

/** What happens between this program and a server, for logs and figures. New types can come. */
export type ConnectionEvent = {
  /** The API or a sandbox, by the URL to which requests go. */
  readonly target: string;
} & (
  | {
      /** A call failed and is made again after a wait. */
      readonly type: 'retry';
      /** Its name, such as `GET /sandboxes`. */
      readonly call: string;
      /** The number of the attempt that failed, from 1. */
      readonly attempt: number;
      /** The wait, in milliseconds. */
      readonly delayMs: number;
      /** Why it failed. */
      readonly error: SoulBoxError;
    }
  | {
      /** The circuit breaker has changed. */
      readonly type: 'breaker';
      /** `open`: nothing is sent. `half-open`: one call tries whether the server is back. `closed`: it is. */
      readonly state: 'closed' | 'open' | 'half-open';
    }
  | {
      /** A call waits, because too many are in progress. */
      readonly type: 'wait';
      /** How many calls wait, with this one. */
      readonly waiting: number;
    }
  | {
      /** An output stream has lost its connection and continues on a new one, where it was. */
      readonly type: 'resume';
      /** What is read. */
      readonly stream: string;
      /** Why the connection ended. Undefined: the server closed it. */
      readonly error: SoulBoxError | undefined;
    }
);

/** @internal */
export function eventsFor(listener: ((event: ConnectionEvent) => void) | undefined): ClientEvents {
  const events = createEvents();
  if (listener === undefined) return events;
  events.on((event) => {
    const shown = eventFrom(event);
    if (shown !== undefined) listener(shown);
  });
  return events;
}

function eventFrom(event: ClientEvent): ConnectionEvent | undefined {
  if (event.type === 'retry') return { ...event, error: errorFrom(event.error) };
  if (event.type === 'resume')
    return { ...event, error: event.error === undefined ? undefined : errorFrom(event.error) };
  // `fetch` does not show its connections.
  return event.type === 'breaker' || event.type === 'wait' ? event : undefined;
}
