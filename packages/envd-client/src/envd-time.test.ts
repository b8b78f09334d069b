import { recordSpans, serveCall } from '@soulbox/base';
import { expect, test } from 'vitest';
import { findTraceHeader, noteEnvdTime } from './envd-time.ts';

const parent = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), isSampled: true };

/** The spans that a response of envd leads to, as [beginning, end] since the call began. It took 100 ms. */
async function spansFor(value: string | undefined): Promise<(readonly [number, number])[]> {
  const spans: (readonly [number, number])[] = [];
  using _recording = recordSpans({
    startSpan: ({ startedAt = 0 }) => ({
      context: parent,
      set: () => undefined,
      end: ({ endedAt } = {}) => {
        if (endedAt !== undefined) spans.push([startedAt - 1000, endedAt - 1000]);
      },
    }),
  });
  await serveCall({ name: 'call', requestId: 'r', parent }, async () => {
    await Promise.resolve();
    const rawHeaders = value === undefined ? ['x', 'server-timing'] : ['x', 'y', 'Server-Timing', value];
    noteEnvdTime('/init', rawHeaders, { startedAt: 1000, tookMs: 100 });
  });
  return spans;
}

test('the time of envd lies in the middle of the call', async () => {
  expect(await spansFor('envd;dur=40.000')).toEqual([[30, 70]]);
});

test('envd cannot claim more time than the call took', async () => {
  expect(await spansFor('envd;dur=999999999')).toEqual([[0, 100]]);
});

test.each([
  [undefined],
  [''],
  ['envd;dur=-5'],
  ['envd;dur=NaN'],
  ['envd;dur=1e9'],
  ['envd;dur=1, other;dur=2'],
  ['other;dur=1'],
  [`envd;dur=${'9'.repeat(100)}`],
])('%j is ignored', async (value) => {
  expect(await spansFor(value)).toEqual([]);
});

test('envd learns the trace, and nothing else of the call', async () => {
  await serveCall({ name: 'call', requestId: 'r', parent }, async () => {
    await Promise.resolve();
    expect(findTraceHeader()).toEqual({ traceparent: `00-${parent.traceId}-${parent.spanId}-01` });
  });
  expect(findTraceHeader()).toEqual({});
});
