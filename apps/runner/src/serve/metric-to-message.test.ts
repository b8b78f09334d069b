import { expect, test } from 'vitest';
import { pointFields } from '../metrics/point.ts';
import type { Point } from '../metrics/point.ts';
import { sampleFields } from '../metrics/sample-ring.ts';
import type { Sample } from '../metrics/sample-ring.ts';
import { metricToMessage, pointToMessage } from './metric-to-message.ts';

const none = Object.fromEntries(sampleFields.map((name) => [name, 0])) as unknown as Sample;

test('figures of bytes and packets are whole numbers on the wire, also above 2^53', () => {
  const message = metricToMessage({ ...none, cpuCount: 2, memoryRssBytes: 10.4, diskTotalBytes: 10 * 2 ** 60 });
  expect(message).toMatchObject({ cpuCount: 2, memoryRssBytes: 10n, diskTotalBytes: 10n * 2n ** 60n });
});

test('CPU shares and the time of the sample are not changed', () => {
  const message = metricToMessage({
    ...none,
    cpuCount: 1,
    atMs: 1_800_000_000_500,
    cpuUsedPct: 50.5,
    cpuUsedSeconds: 6.5,
  });
  expect(message).toMatchObject({ cpuUsedPct: 50.5, cpuUsedSeconds: 6.5 });
  expect(message.timestamp).toMatchObject({ seconds: 1_800_000_000n, nanos: 500_000_000 });
});

test('means of a point are rounded to whole bytes, and CPU figures are not', () => {
  const point = Object.fromEntries(pointFields.map((name) => [name, 1.25])) as Point;
  const message = pointToMessage({ ...point, samples: 3, atMs: 60_000 }, 2);
  expect(message).toMatchObject({ samples: 3, cpuCount: 2, cpuUsedPctMax: 1.25, memorySwapBytes: 1n });
  expect(message).toMatchObject({ networkSentPackets: 1n, timestamp: { seconds: 60n } });
});
