import type { Programs } from '@soulbox/envd-client';
import type { BlobReader } from '../blob-reader.ts';
import type { StepOutput } from '../build-log.ts';
import type { StepContext } from '../build-spec.ts';

export const stepTypes = ['RUN', 'COPY', 'WORKDIR', 'USER', 'ENV'] as const;
export type StepType = (typeof stepTypes)[number];

/** A validated step: its type is known and it is complete. */
export interface Step {
  readonly type: StepType;
  readonly args: readonly string[];
  readonly filesBlobKey: string;
  readonly filesKey: Uint8Array;
  readonly filesMayBeReadable: boolean;
  readonly filesHash: string;
  readonly force: boolean;
}

/** The parts of the build that a step uses. */
export interface StepTools {
  readonly context: StepContext;
  readonly output: StepOutput;
  readonly blobs: BlobReader;
  readonly signal: AbortSignal;
  /** The sandbox that the step runs in. It is booted on the first call. */
  readonly programs: () => Promise<Programs>;
}

export interface StepResult {
  /** The context of the next step. */
  readonly context: StepContext;
  /** The disk may have changed. */
  readonly changed: boolean;
}

export type PerformStep = (tools: StepTools, step: Step) => Promise<StepResult>;
