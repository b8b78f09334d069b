import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createSequencer,
  leafOf,
  openAuditSigningKey,
  openLog,
  openLogFiles,
  operatorDraft,
  recordOfLeaf,
} from '@soulbox/audit';
import type { Log } from '@soulbox/audit';
import { verifyLog } from '@soulbox/audit/verify-log';
import { createTrail } from '@soulbox/api/trail';
import type { Trail } from '@soulbox/api/trail';
import { removeTree, systemClock } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openTestKeyring } from '@soulbox/keyring/testing';
import { openSqliteRecords } from '@soulbox/storage';
import type { Records } from '@soulbox/storage';
import { testDirectory } from '@soulbox/testing';
import type { Figure, Measurement } from '../measurement.ts';

const [committed, together, rounds] = [20_000, 1000, 5];
const verified = 1_000_000;
const batch = 20_000;

/** The audit log without a server: its cost is in each create, which `create` measures as a whole. */
export const audit: Measurement = {
  name: 'audit',
  async *run(lab) {
    const folder = await mkdtemp(join(testDirectory, 'bench-audit-'));
    try {
      await using records = openSqliteRecords(join(folder, 'records.sqlite'));
      lab.progress(`audit, ${committed} records, ${rounds} rounds`);
      yield* await measureAppend(folder, records);
      lab.progress(`audit, verifying ${verified} records`);
      yield* await measureVerify(folder);
    } finally {
      await removeTree(folder);
    }
  },
};

const deed: Parameters<Trail['admit']>[0] = {
  ...{ teamId: 'team', action: 'sandbox.create', class: 'operation', scope: 'team', rule: 'key' },
  actor: { kind: 'key', id: '6f1c3f1e-3a55-4d1c-9d59-0d7f2f0b1a11' },
  target: { kind: 'sandbox', id: 'i0000000000000000001' },
  request: { id: 'request00000001', method: 'POST', route: '/sandboxes' },
  source: { address: '203.0.113.7', userAgent: 'e2b-js-sdk/2.51.0' },
};

async function measureAppend(folder: string, records: Records): Promise<Figure[]> {
  const signingKey = await openAuditSigningKey(join(folder, 'secrets'));
  using sealer = await openTestKeyring(records);
  const policy = { jurisdiction: 'eu', minDays: 0 } as const;
  const options = { records, sealer, isOverdue: () => false, policy, maxBytes: Infinity, clock: systemClock };
  const trail = createTrail({ ...options, logger: silentLogger });
  const log = await openLog({
    files: openLogFiles(join(folder, 'log')),
    privateKey: signingKey.reveal(),
    newOrigin: 'soulbox.local/bench',
  });
  const sequencer = await createSequencer(log, {
    next: async (from, limit) =>
      (await records.audit.listWaiting('team', from, limit)).map(({ text, ...place }) => ({ ...place, leaf: text })),
    settle: async (size) => await records.audit.settle('team', size),
  });
  const figures: Record<'cpu' | 'rate' | 'publish' | 'alone', number[]> = { cpu: [], rate: [], publish: [], alone: [] };
  for (let round = 0; round < rounds; round += 1) {
    const [startedAt, cpuBefore] = [performance.now(), process.cpuUsage()];
    for (let done = 0; done < committed; done += together)
      await Promise.all(Array.from({ length: together }, async () => await trail.admit(deed)));
    const { user, system } = process.cpuUsage(cpuBefore);
    figures.cpu.push((user + system) / committed / 1000);
    figures.rate.push(committed / ((performance.now() - startedAt) / 1000));
    const publishedAt = performance.now();
    while ((await sequencer.step()) > 0);
    figures.publish.push(committed / ((performance.now() - publishedAt) / 1000));
    const alone = performance.now();
    for (let count = 0; count < 50; count += 1) await trail.admit(deed);
    figures.alone.push((performance.now() - alone) / 50);
  }
  return [
    {
      what: 'audit, CPU of a record that is committed with others',
      unit: 'ms',
      samples: figures.cpu,
      aims: [{ at: 'p50', atMost: 0.015 }],
    },
    {
      what: 'audit, committed in groups of 1000',
      unit: 'records/s',
      samples: figures.rate,
      aims: [{ at: 'p50', atLeast: 20_000 }],
    },
    {
      what: 'audit, moved into the log and published',
      unit: 'records/s',
      samples: figures.publish,
      aims: [{ at: 'p50', atLeast: 20_000 }],
    },
    { what: 'audit, a record that is committed alone', unit: 'ms', samples: figures.alone },
  ];
}

async function measureVerify(folder: string): Promise<Figure[]> {
  const signingKey = await openAuditSigningKey(join(folder, 'secrets'));
  const directory = join(folder, 'large');
  const files = openLogFiles(directory);
  const log = await openLog({ files, privateKey: signingKey.reveal(), newOrigin: 'soulbox.local/bench' });
  await fill(log);
  await writeFile(join(directory, 'log.json'), JSON.stringify({ from: 0 }));
  const startedAt = performance.now();
  const { records, faults } = verifyLog({ directory, key: log.verifierKey });
  if (records !== verified || faults.length > 0)
    throw new Error(`Verified ${records} records, ${faults.length} faults.`);
  const elapsed = performance.now() - startedAt;
  return [
    {
      what: 'audit, 1,000,000 records verified offline',
      unit: 'ms',
      samples: [elapsed],
      aims: [{ at: 'p50', atMost: 10_000 }],
    },
  ];
}

async function fill(log: Log): Promise<void> {
  const draft = operatorDraft({ action: 'sandbox.create', teamId: 'team', target: deed.target }, Date.now());
  const request = recordOfLeaf(
    leafOf({ ...draft, ...(deed.request && { request: deed.request }) }, { seq: 0, writer: 'w', writerSeq: 0 }),
  );
  for (let from = 0; from < verified; from += batch)
    await log.append(
      Array.from({ length: batch }, (_, at) => {
        const seq = from + at;
        // Made without the library, which would take most of the time of this preparation.
        return Buffer.from(JSON.stringify({ ...request, seq, writerSeq: seq }));
      }),
    );
}
