import { runCase } from './run-case.mjs';

export default (request, context) => runCase(request, {}, context);
