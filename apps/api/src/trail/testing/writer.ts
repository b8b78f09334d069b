import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openAuditSigningKey } from '@soulbox/audit';
import { systemClock } from '@soulbox/base';
import { createLogger } from '@soulbox/base/logger';
import { fileMasterKeys, openKeyring } from '@soulbox/keyring';
import { openSqliteRecords } from '@soulbox/storage';
import { createTeamLogs } from '../team-logs.ts';
import { createTrail } from '../trail.ts';
import { placesOf, team } from './places.ts';

/**
 * A program that writes to the audit log of a team as fast as it can, in the way of the control plane, until it is
 * killed. It prints the id of each action after its record is durable.
 */
const places = placesOf(process.argv[2] ?? '');
const records = openSqliteRecords(places.records);
const keyring = await openKeyring({ records: records.keyring, sources: [fileMasterKeys(places.masterKey)] });
const logger = createLogger({ level: 'error', file: join(places.folder, 'writer.log') });
const policy = { jurisdiction: 'eu', minDays: 0 } as const;
const isOverdue = (): boolean => false;
const common = { records, sealer: keyring, policy, isOverdue, clock: systemClock, logger };
const trail = createTrail({ ...common, maxBytes: Infinity });
const signingKey = await openAuditSigningKey(places.secrets);
const { sequencer } = await createTeamLogs({ directory: places.logs, signingKey, records }).open(team);

async function act(worker: number): Promise<never> {
  for (let count = 0; ; count += 1) {
    const id = `${process.pid}-${worker}-${count}`;
    await trail.admit({
      ...{ teamId: team, action: 'sandbox.create', class: 'operation', scope: 'team', rule: 'key' },
      ...{ actor: { kind: 'key', id: `key${worker}` }, target: { kind: 'sandbox', id: `s${id}` } },
      source: { address: '203.0.113.7', userAgent: 'e2b-js-sdk/2.51.0' },
    });
    process.stdout.write(`${id}\n`);
  }
}

async function sequence(): Promise<never> {
  for (;;) {
    await sequencer.step();
    await sleep(Math.random() * 5);
  }
}

await Promise.all([sequence(), ...Array.from({ length: 4 }, async (_, worker) => await act(worker))]);
