import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { defineCommand } from 'citty';
import { ApiError } from '../../api/api-error.ts';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiConnection } from '../../api/connection.ts';
import { listAll } from '../../api/pages.ts';
import type { ApiMetricHistory, ApiMetricPoint, ApiSandboxMetric, ListedApiSandbox } from '../../api/wire.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { apiDataDirArg, jsonArg, parseNumberFlag } from '../../command-line/shared-args.ts';
import { abortOnSignal } from '../../output/abort-on-signal.ts';
import { renderTable, showBytes } from '../../output/table.ts';

/** Of the API, for one call. */
const idsMax = 100;
const defaultRows = 100;
const rowsMax = 1000;
const callsAtOnce = 8;
const historySeconds = 10;
const defaultEverySeconds = 2;
/** The line of totals, the headings, and the line of the cursor. */
const otherLines = 3;

export const topSandboxes = defineCommand({
  meta: {
    name: 'top',
    description:
      'Show what running sandboxes use, the busiest first: at a terminal again and again until Ctrl-C, otherwise once',
    examples: ['soulbox sandbox top', 'soulbox sandbox top --once --json'],
  },
  args: {
    limit: { type: 'string', description: `Sandboxes (default ${defaultRows})`, valueHint: 'N' },
    interval: {
      type: 'string',
      description: `Seconds between two looks (default ${defaultEverySeconds})`,
      valueHint: 'SECONDS',
    },
    once: { type: 'boolean', description: 'Print it once, also at a terminal' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const limit = parseNumberFlag('limit', args.limit, 1, rowsMax) ?? defaultRows;
    const everySeconds = parseNumberFlag('interval', args.interval, 1, 3600) ?? defaultEverySeconds;
    const api = await findApi(args['data-dir']);
    const { stdout } = process;
    if (args.json === true || args.once === true || !stdout.isTTY) {
      const { uses } = await look(api, limit);
      console.log(args.json === true ? JSON.stringify(uses) : renderUses(uses));
      return exitCodes.ok;
    }
    const stop = abortOnSignal();
    // The second screen: what was in the window before is back at the end.
    stdout.write('\x1b[?1049h\x1b[?25l');
    try {
      while (!stop.aborted) {
        const fitting = Math.max(1, (stdout.rows > 0 ? stdout.rows : 24) - otherLines);
        const looked = await untilAborted(look(api, Math.min(limit, fitting)), stop);
        if (looked === undefined) break;
        const { uses, running } = looked;
        const text = `${running} running, ${new Date().toISOString().slice(11, 19)}. Ctrl-C ends.\n${renderUses(uses)}`;
        stdout.write(`\x1b[H\x1b[J${fitted(text, stdout.columns)}`);
        await sleep(everySeconds * 1000, undefined, { signal: stop }).catch(() => undefined);
      }
      return exitCodes.interrupted;
    } finally {
      stdout.write('\x1b[?25h\x1b[?1049l');
    }
  },
});

/** Undefined if the signal aborts first. The rest of the work is then given up: the process ends. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const aborted = once(signal, 'abort').then(() => undefined);
  return await Promise.race([work, aborted]);
}

/** What a sandbox used in the newest second. Sizes are in bytes. */
interface Use {
  readonly sandboxID: string;
  readonly template: string;
  readonly cpuUsedPct: number;
  readonly cpuCount: number;
  readonly memUsed: number;
  readonly memTotal: number;
  readonly diskUsed: number;
  readonly diskTotal: number;
  /** Absent: it has not run for long enough. */
  readonly perSecond?: Pick<
    ApiMetricPoint,
    'diskReadBytes' | 'diskWrittenBytes' | 'networkReceivedBytes' | 'networkSentBytes'
  >;
}

async function look(
  api: ApiConnection,
  limit: number,
): Promise<{ readonly uses: readonly Use[]; readonly running: number }> {
  const sandboxes = await listAll<ListedApiSandbox>(api, { path: '/v2/sandboxes', query: { state: 'running' } });
  const newest = await readNewest(api, sandboxes);
  const busiest = sandboxes
    .flatMap((sandbox) => {
      const metric = newest.get(sandbox.sandboxID);
      return metric === undefined ? [] : [{ sandbox, metric }];
    })
    .sort((one, other) => other.metric.cpuUsedPct - one.metric.cpuUsedPct || other.metric.memUsed - one.metric.memUsed)
    .slice(0, limit);
  const uses = await inBatches(busiest, callsAtOnce, async ({ sandbox, metric }) => {
    const { sandboxID, alias, templateID } = sandbox;
    const { cpuUsedPct, cpuCount, memUsed, memTotal, diskUsed, diskTotal } = metric;
    const point = await readLastSecond(api, sandboxID);
    return {
      ...{ sandboxID, template: alias ?? templateID, cpuUsedPct, cpuCount, memUsed, memTotal, diskUsed, diskTotal },
      ...(point === undefined ? {} : { perSecond: rates(point) }),
    };
  });
  return { uses, running: sandboxes.length };
}

async function readNewest(
  api: ApiConnection,
  sandboxes: readonly ListedApiSandbox[],
): Promise<ReadonlyMap<string, ApiSandboxMetric>> {
  const pages = Array.from({ length: Math.ceil(sandboxes.length / idsMax) }, (_, page) =>
    sandboxes.slice(page * idsMax, (page + 1) * idsMax).map(({ sandboxID }) => sandboxID),
  );
  const answers = await inBatches(pages, callsAtOnce, async (ids) => {
    const query = { sandbox_ids: ids.join(',') };
    const call = { path: '/sandboxes/metrics', query };
    return (await callApi<{ sandboxes: Record<string, ApiSandboxMetric> }>(api, call)).body.sandboxes;
  });
  return new Map(answers.flatMap((answer) => Object.entries(answer)));
}

/** Undefined for a sandbox that has ended meanwhile, or has just begun. */
async function readLastSecond(api: ApiConnection, sandboxId: string): Promise<ApiMetricPoint | undefined> {
  const path = `/sandboxes/${encodeURIComponent(sandboxId)}/metrics/history`;
  const query = { start: Math.floor(Date.now() / 1000) - historySeconds, step: 1 };
  try {
    return (await callApi<ApiMetricHistory>(api, { path, query })).body.points.at(-2);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

function rates(point: ApiMetricPoint): NonNullable<Use['perSecond']> {
  const { diskReadBytes, diskWrittenBytes, networkReceivedBytes, networkSentBytes } = point;
  return { diskReadBytes, diskWrittenBytes, networkReceivedBytes, networkSentBytes };
}

async function inBatches<T, R>(entries: readonly T[], size: number, act: (entry: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < entries.length; at += size)
    results.push(...(await Promise.all(entries.slice(at, at + size).map(act))));
  return results;
}

function renderUses(uses: readonly Use[]): string {
  const rate = (bytes: number | undefined): string => (bytes === undefined ? '-' : `${showBytes(bytes)}/s`);
  const rows = uses.map(({ perSecond, ...use }) => [
    ...[use.sandboxID, use.template, `${use.cpuUsedPct.toFixed(1)} / ${use.cpuCount * 100}`],
    ...[
      `${showBytes(use.memUsed)} / ${showBytes(use.memTotal)}`,
      `${showBytes(use.diskUsed)} / ${showBytes(use.diskTotal)}`,
    ],
    ...[rate(perSecond?.diskReadBytes), rate(perSecond?.diskWrittenBytes)],
    ...[rate(perSecond?.networkReceivedBytes), rate(perSecond?.networkSentBytes)],
  ]);
  return renderTable(['ID', 'TEMPLATE', 'CPU %', 'MEMORY', 'DISK', 'READ', 'WRITTEN', 'RECEIVED', 'SENT'], rows);
}

/** Lines that are cut at the width of the window, and do not wrap. */
function fitted(text: string, columns: number): string {
  const width = columns > 0 ? columns : 80;
  return text
    .split('\n')
    .map((line) => line.slice(0, width))
    .join('\n');
}
