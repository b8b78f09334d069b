export { SoulBoxError, errorFromUnknown } from './error.ts';
export type { ErrorCode } from './error-code.ts';
export { reasons } from './reasons.ts';
export type { Reason } from './reasons.ts';
export { isDiskFull } from './disk-full.ts';
export { errorFromNode, isNodeError } from './error-from-node.ts';
export { Secret, constantTimeEqual } from './secret.ts';
export type { Logger, LogLevel, RootLogger } from './logger.ts';
export { randomId } from './ids.ts';
export { systemClock } from './clock.ts';
export type { Clock } from './clock.ts';
export { sleepUnlessAborted } from './sleep.ts';
export { measureOther, measureOwn, measureProcess } from './process-figures.ts';
export type { MeasuredFigures, OwnFigures, ProcessFigures, SupervisedProcesses } from './process-figures.ts';
export { CommandError, run } from './run.ts';
export type { RunOptions } from './run.ts';
export { writeFileAtomic } from './atomic-file.ts';
export { removeTree } from './remove-tree.ts';
export { hasFile } from './has-file.ts';
export { completeAll } from './complete-all.ts';
export { findProcess, isRunning } from './process-identity.ts';
export type { ProcessIdentity } from './process-identity.ts';
export type { ConfigKey, ConfigSchema, ConfigOf } from './config.ts';
export { stopParsing } from './stop-parsing.ts';
export { boundInterimAnswers, createInterimBudget } from './interim-answers.ts';
export { addressGroup } from './address-group.ts';
export {
  collectOperations,
  measureOperation,
  phase,
  phaseBoundsSeconds,
  readPhaseFigures,
  wholeOperation,
} from './phases.ts';
export type { MeasuredOperation, OperationTimes, PhaseFigures } from './phases.ts';
export { callFields, noteSpan, openCall, recordSpans, serveCall, withSpan } from './spans.ts';
export type { OpenCall, OpenSpan, SpanAttributes, SpanStart, Tracer } from './spans.ts';
export { findTraceContext, traceparentOf } from './traceparent.ts';
export type { TraceContext } from './traceparent.ts';
export { noteCacheUse, readCacheFigures } from './cache-figures.ts';
export { createLocks } from './locks.ts';
export type { Locks } from './locks.ts';
export { nearestCount } from './nearest-count.ts';
export { createByteCollector } from './byte-collector.ts';
export { escapeHtml } from './escape-html.ts';
