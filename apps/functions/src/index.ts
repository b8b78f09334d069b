export { startFunctions } from './start.ts';
export type { Functions, FunctionsOptions } from './start.ts';
export { functionsConfigSchema } from './config.ts';
export type { FunctionsConfig } from './config.ts';
export { sealValues } from './definitions/sealed-values.ts';
