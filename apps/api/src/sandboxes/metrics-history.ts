import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { MetricPoint } from '@soulbox/contract/runner';
import type { SandboxRecord } from '@soulbox/storage';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { Caller } from '../auth/caller.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { followDescription, isFollowed, sendFollowed } from '../http/send-followed.ts';
import type { News } from '../http/send-followed.ts';
import { errors, sandboxParams, timeSchema, timeToWire } from '../http/schemas.ts';
import { getLive, withRow } from '../lookup/sandbox.ts';
import { callRunner } from '../runner/call.ts';
import { msFromTimestamp } from '../runner/sandbox-facts.ts';
import { readCustom } from './metrics-custom.ts';
import { unixSeconds } from './schemas.ts';

/** The steps among which the server chooses, in seconds. */
const steps = [1, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400] as const;
const longestStep = 86_400;
/** Points for which the server chooses the step. */
const pointsAimed = 1000;
/** How far back the runner's seconds and minutes go. */
const secondsKeptMs = 1_800_000;
const minutesKeptMs = 86_400_000;
/** The runner takes the samples of a second so late at most. */
const lateSampleMs = 500;

const counted = z.number().describe('During the step.');
const bytes = z.number().describe('Bytes. Mean over the step.');
const pointSchema = z
  .object({
    timestamp: timeSchema.describe('The start of the step.'),
    timestampUnix: z.int().describe('Seconds'),
    samples: z.int().describe('Number of samples, one for each second in which the sandbox ran.'),
    cpuCount: z.number(),
    cpuUsedPct: z.number().describe('Percent of one CPU. Mean over the step.'),
    cpuUsedPctMax: z.number(),
    cpuUsedSeconds: z.number().describe('CPU time used during the step.'),
    memRss: bytes.describe('Anonymous memory in bytes. Mean over the step.'),
    memCache: bytes,
    memSwap: bytes,
    memWorkingSet: bytes.describe('Bytes in use, without reclaimable cache. Mean over the step.'),
    memWorkingSetMax: z.number().describe('Bytes'),
    memTotal: z.number().describe('Bytes'),
    diskUsed: bytes,
    diskTotal: z.number().describe('Bytes'),
    diskReadBytes: counted,
    diskWrittenBytes: counted,
    networkReceivedBytes: counted,
    networkSentBytes: counted,
    networkReceivedPackets: counted,
    networkSentPackets: counted,
  })
  .meta({ id: 'SandboxMetricPoint' });

export function addMetricsHistoryRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/sandboxes/:sandboxID/metrics/history',
    {
      schema: {
        tags: ['sandboxes'],
        summary: 'Metrics of a sandbox over time, merged into steps',
        description:
          'Steps of less than a minute are known for half an hour, those of less than an hour for a day, and longer ones for 30 days. ' +
          'Steps without a sample, such as those of a paused sandbox, are left out. ' +
          `${followDescription} Each line has \`point\`, a step that is over, by default of a second from now on. ` +
          'To continue, pass the end of the last one as `start`. With `custom=true`, lines with `custom` have the newest custom metrics, ' +
          'as in `/metrics/custom`. The last line of a sandbox that ended is `{"ended":true}`.',
        params: sandboxParams,
        querystring: z.object({
          start: unixSeconds.optional().describe('Unix seconds. Default: the start of the sandbox.'),
          end: unixSeconds.optional().describe('Unix seconds. Default: now.'),
          step: z.coerce
            .number()
            .int()
            .min(1)
            .max(longestStep)
            .optional()
            .describe(`Seconds. Default: the shortest step with at most ${pointsAimed} points that are all known.`),
          custom: z
            .enum(['true', 'false'])
            .default('false')
            .describe('Only for a stream: whether it has the custom metrics, too.'),
        }),
        response: {
          200: z
            .object({ step: z.int().describe('Seconds'), points: z.array(pointSchema).describe('Oldest first.') })
            .meta({ id: 'SandboxMetricHistory' }),
          ...errors(400, 404, 503),
        },
      },
    },
    async (request, reply) => {
      const { start, end, step, custom } = request.query;
      if (isFollowed(request)) {
        const wanted = { id: request.params.sandboxID, startMs: start === undefined ? undefined : start * 1000 };
        const stepSeconds = step ?? 1;
        const follow = followMetrics(context, callerOf(request), { ...wanted, stepSeconds, custom: custom === 'true' });
        return await sendFollowed(context, request, reply, follow);
      }
      const record = await getLive(context, callerOf(request), request.params.sandboxID);
      const nowMs = context.clock.now();
      const startMs = start === undefined ? record.startedAt : start * 1000;
      const endMs = end === undefined ? nowMs : end * 1000 + 999;
      const stepSeconds = step ?? chooseStep(Math.max(startMs, record.startedAt), endMs, nowMs);
      const points = await withRow(context, record, () => readPoints(context, record.id, startMs, endMs, stepSeconds));
      return { step: stepSeconds, points: points.map(pointToWire) };
    },
  );
}

interface Followed {
  readonly id: string;
  /** Undefined: now. */
  readonly startMs: number | undefined;
  readonly stepSeconds: number;
  readonly custom: boolean;
}

/** Returns the steps that are over since its last call. */
function followMetrics(
  context: ApiContext,
  caller: Caller,
  { id, startMs, stepSeconds, custom }: Followed,
): () => Promise<News> {
  const stepMs = stepSeconds * 1000;
  let fromMs = Math.floor((startMs ?? context.clock.now()) / stepMs) * stepMs;
  let lastReport = '';
  const readReport = async (record: SandboxRecord): Promise<object[]> => {
    const report = await readCustom(context, record);
    const text = JSON.stringify(report);
    if (text === lastReport) return [];
    lastReport = text;
    return [{ custom: report }];
  };
  return async () => {
    const record = await getLive(context, caller, id);
    // The last sample of a second may be a little late.
    const overMs = Math.floor((context.clock.now() - lateSampleMs) / stepMs) * stepMs;
    const points =
      overMs > fromMs
        ? await withRow(context, record, () => readPoints(context, record.id, fromMs, overMs - 1, stepSeconds))
        : [];
    if (overMs > fromMs) fromMs = overMs;
    const lines = points.map((point) => ({ point: pointToWire(point) }));
    return { lines: custom ? [...lines, ...(await readReport(record))] : lines };
  };
}

export async function readPoints(
  { runner }: ApiContext,
  sandboxId: string,
  startMs: number,
  endMs: number,
  stepSeconds: number,
): Promise<readonly MetricPoint[]> {
  const span = { start: timestampFromMs(startMs), end: timestampFromMs(endMs) };
  const { points } = await callRunner((options) =>
    runner.getMetricPoints({ sandboxId, stepSeconds, ...span }, options),
  );
  return points;
}

/**
 * What the runner has merged, for the time before the samples of single seconds: minutes of a day, and hours before.
 * Oldest first.
 */
export async function readBeforeSeconds(
  context: ApiContext,
  sandboxId: string,
  startMs: number,
  endMs: number,
): Promise<MetricPoint[]> {
  const nowMs = context.clock.now();
  if (startMs >= nowMs - secondsKeptMs || startMs >= endMs) return [];
  const minutes = await readPoints(context, sandboxId, startMs, endMs - 1, 60);
  if (startMs >= nowMs - minutesKeptMs) return [...minutes];
  const firstMs = minutes[0] === undefined ? endMs : msFromTimestamp(minutes[0].timestamp);
  // The hour in which the minutes begin would show their time twice.
  const hours = await readPoints(context, sandboxId, startMs, firstMs - 3_600_000, 3600);
  return [...hours, ...minutes];
}

function chooseStep(startMs: number, endMs: number, nowMs: number): number {
  const known = (step: number): boolean =>
    step >= 3600 || startMs >= nowMs - (step >= 60 ? minutesKeptMs : secondsKeptMs);
  return steps.find((step) => (endMs - startMs) / 1000 / step <= pointsAimed && known(step)) ?? longestStep;
}

function pointToWire(point: MetricPoint): z.infer<typeof pointSchema> {
  const ms = msFromTimestamp(point.timestamp);
  return {
    timestamp: timeToWire(ms),
    timestampUnix: Math.floor(ms / 1000),
    samples: point.samples,
    cpuCount: point.cpuCount,
    cpuUsedPct: point.cpuUsedPct,
    cpuUsedPctMax: point.cpuUsedPctMax,
    cpuUsedSeconds: point.cpuUsedSeconds,
    memRss: Number(point.memoryRssBytes),
    memCache: Number(point.memoryCacheBytes),
    memSwap: Number(point.memorySwapBytes),
    memWorkingSet: Number(point.memoryWorkingSetBytes),
    memWorkingSetMax: Number(point.memoryWorkingSetBytesMax),
    memTotal: Number(point.memoryLimitBytes),
    diskUsed: Number(point.diskUsedBytes),
    diskTotal: Number(point.diskTotalBytes),
    diskReadBytes: Number(point.diskReadBytes),
    diskWrittenBytes: Number(point.diskWrittenBytes),
    networkReceivedBytes: Number(point.networkReceivedBytes),
    networkSentBytes: Number(point.networkSentBytes),
    networkReceivedPackets: Number(point.networkReceivedPackets),
    networkSentPackets: Number(point.networkSentPackets),
  };
}
