import { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from '@soulbox/base';
import { envdPort } from '@soulbox/contract';
import { handOver } from './hand-over.ts';
import type { RouteSource } from './route-source.ts';
import type { Session } from './session.ts';

/** The watchers of a feed, and its position. */
export interface Watchers {
  readonly source: RouteSource;
  readonly sessions: ReadonlyMap<string, Session>;
  readonly position: () => bigint;
  readonly logger: Logger;
}

/** Opens a connection to envd for each watcher that accepts it, while the claim waits for envd. */
export async function handAhead(watchers: Watchers, sandboxId: string): Promise<void> {
  // The claim first writes its record. This work would delay that, and may wait.
  await nextTurn();
  for (const session of [...watchers.sessions.values()])
    if (session.channel !== undefined) await handOne(watchers, sandboxId, session, session.channel);
}

async function handOne(
  { source, position, logger }: Watchers,
  sandboxId: string,
  session: Session,
  channel: number,
): Promise<void> {
  const connection = await source.dial(sandboxId, envdPort).catch(() => undefined);
  if (!(connection instanceof Socket)) return;
  // A watcher that was told that the sandbox is gone must not receive a connection afterwards.
  if (source.find(sandboxId)?.state !== 'running' && !source.isExpected(sandboxId)) {
    connection.destroy();
    return;
  }
  try {
    const handed = handOver(connection, channel);
    session.holds(sandboxId);
    session.send({ position: position(), opened: [{ sandboxId, port: envdPort, ...handed }] });
  } catch (err) {
    // The sandbox has already closed it, or the watcher accepts too few. The first request opens one.
    logger.debug({ sandboxId, err }, 'a connection could not be handed over ahead');
  }
}
