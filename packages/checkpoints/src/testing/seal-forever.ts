import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openCheckpointStore } from '../open-checkpoint-store.ts';
import { patternOf, testFacts, testOptions } from './test-store.ts';

// The victim of crash.test.ts: seals one checkpoint after the other until it is killed, and prints the ids of the
// finished ones.
const [directory = '', prefix = ''] = process.argv.slice(2);
const store = await openCheckpointStore(testOptions(directory));
const content = patternOf(3_000_000);
process.stdout.write('ready\n');
for (let number = 0; ; number += 1) {
  const checkpointId = `${prefix}-${number}`;
  await using draft = await store.begin(checkpointId);
  draft.follow((name) => name === 'pages-1.img');
  for (let part = 0; part < 20; part += 1) await writeFile(join(draft.directory, `core-${part}.img`), `${part}`);
  await writeFile(join(draft.directory, 'pages-1.img'), content);
  await draft.seal(testFacts());
  process.stdout.write(`${checkpointId}\n`);
  if (number % 3 === 2) await store.remove(`${prefix}-${number - 1}`);
}
