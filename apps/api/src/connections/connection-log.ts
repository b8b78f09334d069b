import type { EgressRecords } from '@soulbox/contract/egress-record-service';
import type { ApiContext } from '../context.ts';

/** Adds what the egress process and the runner report to the log that teams can read. */
export function createConnectionLog({ records, config, logger }: ApiContext): EgressRecords['record'] {
  return async (connections, dropped) => {
    if (dropped > 0) logger.warn({ dropped }, 'connections of sandboxes are missing in the log: too many at once');
    await records.connections.add(
      connections.map(({ startedAtMs, count = 1, ...connection }) => ({
        ...connection,
        startedAt: startedAtMs,
        count,
      })),
      config.teamConnectionLimit,
    );
  };
}
