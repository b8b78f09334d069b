import { prepareForTests, runVisibly } from './prepare.ts';

// `npm run bench`, `chaos`, `crash`, `moments`, `soak`, `fill` and `test:clients`: prepares as `npm test` does, then runs the script given first.
const prepared = await prepareForTests();
process.exitCode = prepared === 0 ? await runVisibly(process.execPath, process.argv.slice(2)) : prepared;
