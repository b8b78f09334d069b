import { AsyncLocalStorage } from 'node:async_hooks';
import { reasons } from './reasons.ts';
import { traceparentOf } from './traceparent.ts';
import type { TraceContext } from './traceparent.ts';

/** Texts and numbers from small sets that we choose. Never names, ids or other text of users. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

export interface SpanStart {
  readonly name: string;
  /** `server`: serves a call of another process. `client`: waits for one. */
  readonly kind: 'server' | 'client' | 'internal';
  readonly parent: TraceContext | undefined;
  /** A span that caused this one and had ended before. */
  readonly cause?: TraceContext | undefined;
  readonly attributes?: SpanAttributes | undefined;
  /** Milliseconds since the Unix epoch. Default: now. */
  readonly startedAt?: number;
}

export interface OpenSpan {
  readonly context: TraceContext;
  set(attributes: SpanAttributes): void;
  /** `failure`: a word for the kind of the error. `endedAt`: milliseconds since the Unix epoch, by default now. */
  end(end?: { readonly failure?: string | undefined; readonly endedAt?: number }): void;
}

/** Records spans. It never throws and never waits. */
export interface Tracer {
  startSpan(start: SpanStart): OpenSpan;
}

/** What is done on behalf of one call. */
interface Scope {
  readonly requestId: string | undefined;
  readonly trace: TraceContext | undefined;
  /** Timers and background work that a call has left behind still run in its scope. */
  isOver: boolean;
}

const scopes = new AsyncLocalStorage<Scope>();
let tracer: Tracer | undefined;

/** Records the spans of this process with `next`, until the result is disposed. */
export function recordSpans(next: Tracer): Disposable {
  tracer = next;
  return {
    [Symbol.dispose]() {
      if (tracer === next) tracer = undefined;
    },
  };
}

/** A call of another process that this one serves. */
export interface ServedCall {
  readonly requestId: string | undefined;
  /** The span of the caller. */
  readonly parent: TraceContext | undefined;
  readonly name: string;
  readonly attributes?: SpanAttributes;
}

/** The scope of a served call, for callers that cannot express their work as one promise. */
export interface OpenCall {
  /** Undefined without a tracer and without a caller's context. */
  readonly trace: TraceContext | undefined;
  readonly run: <T>(work: () => T) => T;
  readonly set: (attributes: SpanAttributes) => void;
  readonly end: (failure?: string) => void;
}

/** Begins to serve a call. Without a tracer, the caller's context passes through, for the log and for further calls. */
export function openCall({ requestId, parent, name, attributes }: ServedCall): OpenCall {
  const span = tracer?.startSpan({ name, kind: 'server', parent, attributes });
  const scope: Scope = { requestId, trace: span?.context ?? parent, isOver: false };
  return {
    trace: scope.trace,
    run: (work) => scopes.run(scope, work),
    set: (more) => span?.set(more),
    end(failure) {
      scope.isOver = true;
      span?.end({ failure });
    },
  };
}

/** Serves a call whose work is one promise. */
export async function serveCall<T>(call: ServedCall, work: () => Promise<T>): Promise<T> {
  const { run, end } = openCall(call);
  return await endWith(run(work), end);
}

/**
 * Runs `work` as a span below the current one. Without a tracer it only runs `work`. `needsParent`: nothing is recorded
 * outside of a trace, or in a scope that is over. `isOperation`: in a scope that is over, a new trace begins, which names the old one as its cause.
 */
export async function withSpan<T>(
  {
    name,
    kind = 'internal',
    attributes,
    needsParent = false,
    isOperation = false,
  }: {
    readonly name: string;
    readonly kind?: SpanStart['kind'];
    readonly attributes?: SpanAttributes | undefined;
    readonly needsParent?: boolean;
    readonly isOperation?: boolean;
  },
  work: (span: OpenSpan | undefined) => Promise<T>,
): Promise<T> {
  const outer = scopes.getStore();
  const isOutside = outer?.trace === undefined || outer.isOver;
  if (tracer === undefined || (needsParent && isOutside)) return await work(undefined);
  const isLate = isOperation && outer?.isOver === true;
  const place = isLate ? { parent: undefined, cause: outer.trace } : { parent: outer?.trace };
  const span = tracer.startSpan({ name, kind, attributes, ...place });
  const scope: Scope = { requestId: isLate ? undefined : outer?.requestId, trace: span.context, isOver: false };
  const end = (failure?: string): void => {
    scope.isOver = true;
    span.end({ failure });
  };
  return await endWith(
    scopes.run(scope, async () => await work(span)),
    end,
  );
}

/** Records a span that has ended already, below the current one. */
export function noteSpan(
  { name, kind, attributes }: Pick<SpanStart, 'name' | 'kind' | 'attributes'>,
  { startedAt, endedAt }: { readonly startedAt: number; readonly endedAt: number },
): void {
  const scope = scopes.getStore();
  const parent = scope?.isOver === false ? scope.trace : undefined;
  if (parent !== undefined) tracer?.startSpan({ name, kind, attributes, parent, startedAt }).end({ endedAt });
}

async function endWith<T>(work: Promise<T>, end: (failure?: string) => void): Promise<T> {
  try {
    const result = await work;
    end();
    return result;
  } catch (thrown) {
    end(failureOf(thrown));
    throw thrown;
  }
}

/** A word of ours for an error. Its message may repeat text of users. */
function failureOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'unknown';
  if ('reason' in thrown && typeof thrown.reason === 'string' && Object.hasOwn(reasons, thrown.reason))
    return thrown.reason;
  return thrown.cause instanceof Error ? failureOf(thrown.cause) : thrown.name;
}

/** Header fields that tell another process on whose behalf it is called. */
export function callFields(): Record<string, string> {
  const scope = scopes.getStore();
  if (scope === undefined) return {};
  return {
    ...(scope.trace === undefined ? {} : { traceparent: traceparentOf(scope.trace) }),
    ...(scope.requestId === undefined ? {} : { 'x-request-id': scope.requestId }),
  };
}

/** Fields of a log line that is written on behalf of a call. */
export function logFields(): object {
  const scope = scopes.getStore();
  if (scope === undefined || scope.isOver) return {};
  const { requestId, trace } = scope;
  return {
    ...(requestId === undefined ? {} : { requestId }),
    ...(trace === undefined ? {} : { traceId: trace.traceId }),
  };
}
