import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { createApiKey, ensureDefaultTeam, openSqliteRecords } from '@soulbox/storage';
import type { Records } from '@soulbox/storage';
import { testDirectory } from '@soulbox/testing';
import type { Figure, Measurement } from '../measurement.ts';

const [stored, perSample, rounds] = [10_000, 5000, 10];

/** What the check of an API key costs: its record, found and compared, and its team. Nothing is cached. */
export const keys: Measurement = {
  name: 'keys',
  async *run(lab) {
    const folder = await mkdtemp(join(testDirectory, 'bench-keys-'));
    try {
      await using records = openSqliteRecords(join(folder, 'records.sqlite'));
      lab.progress(`API keys, ${stored} stored, ${perSample} checks at a time`);
      const team = await ensureDefaultTeam(records);
      const values: string[] = [];
      for (let n = 0; n < stored; n++) values.push((await createApiKey(records, team, `k${n}`)).key.reveal());
      const valid = (n: number): string => values[(n * 7919) % stored] ?? '';
      yield await measureChecks(records, 'checks of an API key, not cached, of 10,000', valid, { atLeast: 20_000 });
      const wrong = (n: number): string => `${valid(n).slice(0, 12)}${'0'.repeat(32)}`;
      yield await measureChecks(records, 'checks of a wrong API key that begins as a valid one', wrong);
    } finally {
      await removeTree(folder);
    }
  },
};

async function measureChecks(
  records: Records,
  what: string,
  valueOf: (n: number) => string,
  aim?: { readonly atLeast: number },
): Promise<Figure> {
  const samples: number[] = [];
  for (let round = -2; round < rounds; round++) {
    const startedAt = performance.now();
    for (let n = 0; n < perSample; n++) {
      const key = await records.apiKeys.findByValue(valueOf(n));
      if (key !== undefined) await records.teams.find(key.teamId);
    }
    if (round >= 0) samples.push(perSample / ((performance.now() - startedAt) / 1000));
  }
  return { what, unit: '1/s', samples, ...(aim === undefined ? {} : { aims: [{ at: 'p50', ...aim }] }) };
}
