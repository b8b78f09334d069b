import { printable } from '@soulbox/envd-client/printable';
import { createEvents } from '@soulbox/client';
import type { ClientEvent, ClientEvents } from '@soulbox/client';
import { showsEvents } from '../config.ts';

/** Of all connections of this process. With SOULBOX_EVENTS=1, standard error shows them. */
export const connectionEvents: ClientEvents = createEvents();
if (showsEvents()) connectionEvents.on((event) => console.error(`soulbox: ${event.target}: ${describe(event)}`));

function describe(event: ClientEvent): string {
  switch (event.type) {
    case 'connect':
      return `connected (${event.connections} open)`;
    case 'dead':
      return `a connection broke (${event.connections} left): ${textOf(event.cause)}`;
    case 'close':
      return `closed a connection, ${event.why} (${event.connections} left)`;
    case 'retry':
      return `attempt ${event.attempt} of ${event.call} failed, the next one is in ${event.delayMs} ms: ${textOf(event.error)}`;
    case 'breaker':
      return `circuit breaker ${event.state}`;
    case 'wait':
      return `${event.waiting} calls wait for a connection`;
    case 'resume':
      return `${event.stream} continues on a new connection: ${textOf(event.error)}`;
  }
}

/** What a server says could steer the terminal. */
function textOf(error: unknown): string {
  const text = error instanceof Error ? error.message : 'it was closed';
  return printable(text.slice(0, 300)).replaceAll('\n', ' ');
}
