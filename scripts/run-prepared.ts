import { makeTestTemplates, prepareForTests, runVisibly } from './prepare.ts';

// `npm run bench`, `bench:pairs`, `chaos`, `crash`, `moments`, `soak`, `fill`, `upgrade`, `test:redteam`, `test:clients`
// and `test:packages`: prepares the host like `npm test`, then runs the script given as the first argument.
// `--templates` before it also creates the server's own templates that are missing: a client would time out before the
// first create has built one.
const given = process.argv.slice(2);
const needsTemplates = given[0] === '--templates';
const script = needsTemplates ? given.slice(1) : given;

process.exitCode = (await prepare()) || (await runVisibly(process.execPath, script));

async function prepare(): Promise<number> {
  return (await prepareForTests()) || (needsTemplates ? await makeTestTemplates() : 0);
}
