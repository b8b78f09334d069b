import { performCopy } from './copy.ts';
import { performEnv } from './env.ts';
import { performRun } from './run.ts';
import type { PerformStep, StepType } from './step.ts';
import { performUser } from './user.ts';
import { performWorkdir } from './workdir.ts';

const byType = {
  RUN: performRun,
  COPY: performCopy,
  WORKDIR: performWorkdir,
  USER: performUser,
  ENV: performEnv,
} as const satisfies Record<StepType, PerformStep>;

/** Throws `build_failed` with a message for the build's author, `disk_full`, and the signal's reason when it aborts. */
export const performStep: PerformStep = async (tools, step) => await byType[step.type](tools, step);
