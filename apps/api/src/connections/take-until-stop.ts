import { SoulBoxError, sleepUnlessAborted } from '@soulbox/base';
import { recordFromWire } from '@soulbox/contract/egress-record-service';
import type { ApiContext } from '../context.ts';
import { callRunner } from '../runner/call.ts';
import { createConnectionLog } from './connection-log.ts';

/** Rest before the runner is asked again. It answers when it has connections, or after half of the call's deadline. Milliseconds. */
const intervalMs = 500;
/** The same while the disk is full or the runner away. */
const respiteMs = 2000;

/**
 * Adds the connections that the runner's packet filter has judged to the logs of the teams, until the server stops. Never
 * rejects: the runner keeps what could not be taken, and the number of those for which there was no room.
 */
export async function takeConnectionsUntilStop(context: ApiContext): Promise<void> {
  const { runner, logger, stopping } = context;
  const record = createConnectionLog(context);
  const order = { recorded: 0n, refused: 0n };
  let failures = 0;
  const isStopped = (): boolean => stopping.aborted;
  while (!isStopped()) {
    let waitMs = intervalMs;
    try {
      const { batch, connections, dropped } = await callRunner((options) =>
        runner.takeConnections(order, { ...options, signal: stopping }),
      );
      Object.assign(order, { recorded: 0n, refused: batch });
      if (connections.length > 0 || dropped > 0n) {
        await record(connections.map(recordFromWire), Number(dropped));
        waitMs = 0;
      }
      Object.assign(order, { recorded: batch, refused: 0n });
      failures = 0;
    } catch (err) {
      // What was refused for another reason is taken again.
      if (!(err instanceof SoulBoxError && err.reason === 'disk_full')) order.refused = 0n;
      if (failures++ === 0 && !isStopped()) logger.warn({ err }, 'connections of sandboxes could not be recorded');
      waitMs = respiteMs;
    }
    if (waitMs > 0) await sleepUnlessAborted(waitMs, stopping).catch(() => undefined);
  }
}
