import { printable } from '@soulbox/envd-client/printable';
import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiConnection } from '../../api/connection.ts';
import { followApi } from '../../api/stream.ts';
import type { ApiCustomMetrics, ApiMetricHistory, ApiMetricPoint } from '../../api/wire.ts';
import { parseDurationFlag } from '../../command-line/parse-duration.ts';
import { apiDataDirArg, parseNumberFlag, sandboxArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { printList } from '../../output/print-list.ts';
import { showBytes } from '../../output/table.ts';

const defaultSeconds = 60;
const longestSeconds = 30 * 86_400;

export const sandboxMetrics = defineCommand({
  meta: {
    name: 'metrics',
    description: 'Print the CPU, memory, disk and network use of a sandbox, oldest first',
    examples: ['soulbox sandbox metrics ID --follow', 'soulbox sandbox metrics ID --since 24h --step 600 --json'],
  },
  args: {
    sandbox: sandboxArg,
    since: {
      type: 'string',
      description: 'How far back, such as 90s, 10m, 24h or 30d (default 60s)',
      valueHint: 'DURATION',
    },
    step: {
      type: 'string',
      description: 'Seconds of a line, 1 to 86400 (default: so that there are at most 1000 lines)',
      valueHint: 'SECONDS',
    },
    custom: { type: 'boolean', description: 'Print what programs in the sandbox report about themselves instead' },
    follow: { type: 'boolean', alias: 'f', description: 'Follow each second until Ctrl-C or the end of the sandbox' },
    'data-dir': apiDataDirArg,
    json: { type: 'boolean', description: 'Print one JSON object per line' },
  },
  async run({ args }) {
    if (args.custom === true) {
      refuseOthers(args);
      await (args.follow === true ? followCustom : printCustom)(await findApi(args['data-dir']), args);
      return;
    }
    const sinceSeconds = parseDurationFlag('since', args.since, longestSeconds) ?? defaultSeconds;
    const step = parseNumberFlag('step', args.step, 1, 86_400);
    const api = await findApi(args['data-dir']);
    const path = `/sandboxes/${encodeURIComponent(args.sandbox)}/metrics/history`;
    const print = (point: ApiMetricPoint): void =>
      console.log(args.json === true ? JSON.stringify(point) : lineOf(point));
    const start = Math.max(0, Math.floor(Date.now() / 1000) - sinceSeconds);
    if (args.follow !== true) {
      const points = await readPoints(api, path, start, step);
      if (args.json !== true) console.log(headings);
      for (const point of points) print(point);
      return;
    }
    if (args.json !== true) console.log(headings);
    for await (const point of follow(api, path, start, step ?? 1)) print(point);
    console.error(`The sandbox ${args.sandbox} has ended.`);
  },
});

/** The points from the start on that are complete, and those to come, until the sandbox has ended. */
async function* follow(api: ApiConnection, path: string, start: number, step: number): AsyncGenerator<ApiMetricPoint> {
  let from = start;
  const call = () => ({ path, query: { start: from, step } });
  for await (const { point } of followApi<{ readonly point: ApiMetricPoint }>(api, call)) {
    from = point.timestampUnix + step;
    yield point;
  }
}

function refuseOthers({ since, step }: { since?: unknown; step?: unknown }): void {
  const given = Object.entries({ since, step }).find(([, value]) => value !== undefined);
  if (given !== undefined) throw new UsageError(`--custom prints the newest values, so --${given[0]} has no meaning.`);
}

interface CustomArgs {
  readonly sandbox: string;
  readonly json?: boolean | undefined;
}

/** Prints each new value of each series, until the sandbox has ended. */
async function followCustom(api: ApiConnection, { sandbox, json }: CustomArgs): Promise<void> {
  const path = `/sandboxes/${encodeURIComponent(sandbox)}/metrics/history`;
  const call = () => ({ path, query: { start: Math.floor(Date.now() / 1000), custom: 'true' } });
  const printed = new Map<string, number>();
  for await (const { custom } of followApi<{ readonly custom?: ApiCustomMetrics }>(api, call)) {
    for (const { name, labels, points } of custom?.series ?? []) {
      const [series, point] = [`${name}{${showLabels(labels)}}`, points.at(-1)];
      if (point === undefined || point.timestampUnix <= (printed.get(series) ?? 0)) continue;
      printed.set(series, point.timestampUnix);
      if (json === true) console.log(JSON.stringify({ name, labels, ...point }));
      else console.log(`${new Date(point.timestampUnix * 1000).toISOString()}  ${series}  ${point.value}`);
    }
  }
  console.error(`The sandbox ${sandbox} has ended.`);
}

function showLabels(labels: Readonly<Record<string, string>>): string {
  return (
    Object.entries(labels)
      // JSON escapes only the oldest of the characters that terminals obey.
      .map(([label, text]) => printable(`${label}=${JSON.stringify(text)}`))
      .join(' ')
  );
}

/** Labels and names are those of the tenant's programs. */
async function printCustom(api: ApiConnection, { sandbox, json }: CustomArgs): Promise<void> {
  const path = `/sandboxes/${encodeURIComponent(sandbox)}/metrics/custom`;
  const { body } = await callApi<ApiCustomMetrics>(api, { path });
  for (const fault of body.faults) console.error(`warning: ${printable(fault.replaceAll('\n', ' '))}`);
  printList(
    body.series,
    {
      NAME: ({ name }) => name,
      LABELS: ({ labels }) => showLabels(labels),
      TYPE: ({ type }) => type,
      VALUE: ({ points }) => points.at(-1)?.value ?? '',
      TIME: ({ points }) => new Date((points.at(-1)?.timestampUnix ?? 0) * 1000).toISOString(),
    },
    { json },
  );
}

async function readPoints(
  api: ApiConnection,
  path: string,
  start: number,
  step: number | undefined,
): Promise<readonly ApiMetricPoint[]> {
  const { body } = await callApi<ApiMetricHistory>(api, { path, query: { start, step } });
  return body.points;
}

const columns: readonly (readonly [heading: string, width: number, cellOf: (point: ApiMetricPoint) => string])[] = [
  ['TIME', 24, ({ timestamp }) => timestamp],
  ['CPU %', 7, ({ cpuUsedPct }) => cpuUsedPct.toFixed(1)],
  ['MEMORY', 9, ({ memWorkingSet }) => showBytes(memWorkingSet)],
  ['RSS', 9, ({ memRss }) => showBytes(memRss)],
  ['CACHE', 9, ({ memCache }) => showBytes(memCache)],
  ['SWAP', 9, ({ memSwap }) => showBytes(memSwap)],
  ['DISK', 9, ({ diskUsed }) => showBytes(diskUsed)],
  ['READ', 9, ({ diskReadBytes }) => showBytes(diskReadBytes)],
  ['WRITTEN', 9, ({ diskWrittenBytes }) => showBytes(diskWrittenBytes)],
  ['RECEIVED', 9, ({ networkReceivedBytes }) => showBytes(networkReceivedBytes)],
  ['SENT', 9, ({ networkSentBytes }) => showBytes(networkSentBytes)],
];

const headings = columns
  .map(([heading, width]) => heading.padEnd(width))
  .join('  ')
  .trimEnd();

/** The columns have fixed widths, because the lines to come are not known. */
function lineOf(point: ApiMetricPoint): string {
  const cells = columns.map(([, width, cellOf]) => cellOf(point).padEnd(width));
  return cells.join('  ').trimEnd();
}
