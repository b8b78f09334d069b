export { startRunner } from './start.ts';
export { readCpuType } from './host/cpu-type.ts';
export { claimStage, findStageOwner, stageIn, sweepStage } from './backup/stage-folder.ts';
export type { Runner } from './start.ts';
export type { RunnerOptions } from './context.ts';
export { runnerConfigSchema } from './config.ts';
export type { RunnerConfig } from './config.ts';
export { findTemplatesInUse } from './registry/templates-in-use.ts';
