import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { SoulBoxError } from './error.ts';
import { measureOperation, phase } from './phases.ts';
import { callFields, logFields, noteSpan, openCall, recordSpans, serveCall, withSpan } from './spans.ts';
import type { SpanStart } from './spans.ts';
import type { TraceContext } from './traceparent.ts';

interface Seen extends SpanStart {
  readonly context: TraceContext;
  failure?: string | undefined;
  isEnded: boolean;
}

const parent: TraceContext = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), isSampled: true };
let recording: Disposable | undefined;
afterEach(() => recording?.[Symbol.dispose]());

/** Records spans from now on. Their ids count up. */
function record(): Seen[] {
  const spans: Seen[] = [];
  recording = recordSpans({
    startSpan(start) {
      const number = String(spans.length + 1);
      const traceId = start.parent?.traceId ?? number.padStart(32, '0');
      const span: Seen = {
        ...start,
        context: { traceId, spanId: number.padStart(16, '0'), isSampled: true },
        isEnded: false,
      };
      spans.push(span);
      return {
        context: span.context,
        set: () => undefined,
        end: ({ failure } = {}) => Object.assign(span, { failure, isEnded: true }),
      };
    },
  });
  return spans;
}

/** `name < name of the parent`. */
const treeOf = (spans: readonly Seen[]): string[] =>
  spans.map(({ name, parent: above }) => {
    const found = spans.find(({ context }) => context.spanId === above?.spanId);
    return `${name} < ${found?.name ?? (above === undefined ? 'nothing' : 'the caller')}`;
  });

test('an operation and its phases are spans below the call that they serve', async () => {
  const spans = record();
  await serveCall({ name: 'call', requestId: 'r', parent }, async () => {
    await measureOperation('create', async (finish) => {
      await phase('pool', async () => await sleep(1));
      await phase('confirm', async () => await phase('network', async () => await sleep(1)));
      finish();
    });
  });
  expect(treeOf(spans)).toEqual([
    'call < the caller',
    'create < call',
    'create.pool < create',
    'create.confirm < create',
    'create.network < create.confirm',
  ]);
  expect(spans.every(({ isEnded, context }) => isEnded && context.traceId === parent.traceId)).toBe(true);
});

test('a failure has our word for it, never its message', async () => {
  const spans = record();
  const fail = (thrown: unknown) =>
    withSpan({ name: 'x' }, () => Promise.reject(thrown as Error)).catch(() => undefined);
  await fail(new SoulBoxError('sandbox_not_found', 'The sandbox "secret" was not found.'));
  await fail(new Error('wrapped', { cause: new SoulBoxError('disk_full', 'full') }));
  await fail(Object.assign(new TypeError('secret'), { reason: 'secret' }));
  await fail('secret');
  expect(spans.map(({ failure }) => failure)).toEqual(['sandbox_not_found', 'disk_full', 'TypeError', 'unknown']);
});

test('what a call leaves behind begins a trace of its own', async () => {
  const spans = record();
  let late = Promise.resolve();
  const call = openCall({ name: 'call', requestId: 'r', parent });
  call.run(() => {
    late = sleep(5).then(async () => {
      await withSpan({ name: 'step', needsParent: true }, async () => await Promise.resolve());
      await measureOperation('end', async () => {
        await Promise.resolve();
        expect(logFields()).not.toHaveProperty('requestId');
      });
    });
  });
  call.end();
  await late;
  expect(treeOf(spans)).toEqual(['call < the caller', 'end < nothing']);
  expect(spans[1]?.cause).toEqual(spans[0]?.context);
});

test('the log and further calls name the request and its trace', async () => {
  record();
  await serveCall({ name: 'call', requestId: 'r', parent }, async () => {
    await Promise.resolve();
    expect(logFields()).toEqual({ requestId: 'r', traceId: parent.traceId });
    expect(callFields()).toEqual({
      'x-request-id': 'r',
      traceparent: `00-${parent.traceId}-${'1'.padStart(16, '0')}-01`,
    });
  });
  expect([logFields(), callFields()]).toEqual([{}, {}]);
});

test('without a tracer, the context of the caller passes through and nothing is recorded', async () => {
  await serveCall({ name: 'call', requestId: 'r', parent }, async () => {
    await withSpan({ name: 'x' }, async (span) => {
      await Promise.resolve();
      expect(span).toBeUndefined();
    });
    noteSpan({ name: 'y', kind: 'server' }, { startedAt: 0, endedAt: 1 });
    expect(callFields()).toEqual({ 'x-request-id': 'r', traceparent: `00-${parent.traceId}-${parent.spanId}-01` });
  });
  await serveCall({ name: 'call', requestId: undefined, parent: undefined }, async () => {
    await Promise.resolve();
    expect([logFields(), callFields()]).toEqual([{}, {}]);
  });
});

test('a step outside of a trace is not recorded, an operation is', async () => {
  const spans = record();
  await withSpan({ name: 'step', needsParent: true }, async () => await Promise.resolve());
  await phase('no operation', async () => await Promise.resolve());
  await measureOperation('boot', async () => await phase('record', async () => await Promise.resolve()));
  expect(treeOf(spans)).toEqual(['boot < nothing', 'boot.record < boot']);
});
