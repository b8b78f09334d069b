import { prepareForTests, runVisibly } from './prepare.ts';

// `npm run bench`, `npm run chaos`, `npm run soak` and `npm run fill`: prepares as `npm test` does, then runs the script given first.
const prepared = await prepareForTests();
process.exitCode = prepared === 0 ? await runVisibly(process.execPath, process.argv.slice(2)) : prepared;
