import { runCase } from './run-case.mjs';

export default { fetch: (request, env, context) => runCase(request, env, context) };
