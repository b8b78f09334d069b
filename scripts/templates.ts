import { prepareTemplates } from './prepare.ts';

// `npm run templates [-- --data-dir DIR]`: builds all templates in advance, for users who do not want to wait for them
// later.
process.exitCode = await prepareTemplates(process.argv.slice(2));
