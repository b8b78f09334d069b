import { prepareTemplates } from './prepare.ts';

// `npm run templates [-- --data-dir DIR]`: everything that a sandbox can be made from, for who does not want to wait for it later.
process.exitCode = await prepareTemplates(process.argv.slice(2));
