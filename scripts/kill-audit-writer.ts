import { parseArgs } from 'node:util';
import { killWriter } from '@soulbox/api/audit-kills';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '1000' } } });
const startedAt = performance.now();
const { rounds, durable, early, violations } = await killWriter({
  rounds: Number(values.rounds),
  random: Math.random,
  onRound: (round) => {
    if ((round + 1) % 50 === 0)
      console.log(`${round + 1} kills, ${Math.round((performance.now() - startedAt) / 1000)} s`);
  },
});
console.log(`${rounds} kills, ${early} of them before the first record, ${durable} durable records`);
console.log(`${violations.length} broken promises`);
for (const line of violations) console.log(`- ${line}`);
process.exit(violations.length === 0 ? 0 : 1);
