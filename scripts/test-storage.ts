import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { removeTree } from '@soulbox/base';
import { killWriter } from '@soulbox/volumes/kills';
import { compareWithModel } from '@soulbox/volumes/model';

/** The long form of two tests of volumes: kills of a process that writes, and a comparison with a model. */
const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '500' },
    seeds: { type: 'string', default: '100' },
    steps: { type: 'string', default: '400' },
  },
});
const compileCache = join(import.meta.dirname, '../node_modules/.cache/tests-compile');
const inFolder = async <T>(work: (data: string) => Promise<T>): Promise<T> => {
  const data = mkdtempSync(join(tmpdir(), 'soulbox-volume-'));
  try {
    return await work(data);
  } finally {
    await removeTree(data);
  }
};

const { answered, violations } = await inFolder((data) =>
  killWriter({
    ...{ data, rounds: Number(values.kills), lifeMsMax: 100, random: Math.random, compileCache },
    onRound: (round) => {
      if (round % 50 === 0) console.log(`${round} kills`);
    },
  }),
);
console.log(`${values.kills} kills, ${answered} answered changes, ${violations.length} broken promises`);
for (const line of violations) console.log(`- ${line}`);

const firstSeed = Math.floor(Math.random() * 1e9);
for (let seed = firstSeed; seed < firstSeed + Number(values.seeds); seed += 1)
  await inFolder((data) => compareWithModel({ data, seed, steps: Number(values.steps) }));
console.log(`${values.seeds} comparisons of ${values.steps} operations with a model, from seed ${firstSeed}`);
process.exit(violations.length === 0 ? 0 : 1);
