import type { Programs } from '@soulbox/envd-client';
import type { BlobReader } from '../blob-reader.ts';
import type { StepOutput } from '../build-log.ts';
import type { StepContext } from '../build-spec.ts';

export const stepTypes = ['RUN', 'COPY', 'WORKDIR', 'USER', 'ENV'] as const;
export type StepType = (typeof stepTypes)[number];

/** A step that is known and complete. */
export interface Step {
  readonly type: StepType;
  readonly args: readonly string[];
  readonly filesBlobKey: string;
  readonly filesHash: string;
  readonly force: boolean;
}

/** What a step needs of the build around it. */
export interface StepTools {
  readonly context: StepContext;
  readonly output: StepOutput;
  readonly blobs: BlobReader;
  readonly signal: AbortSignal;
  /** The sandbox that the step runs in, booted when it is first asked for. */
  readonly programs: () => Promise<Programs>;
}

export interface StepResult {
  /** What the next step begins with. */
  readonly context: StepContext;
  /** The disk may be another than before. */
  readonly changed: boolean;
}

export type PerformStep = (tools: StepTools, step: Step) => Promise<StepResult>;
