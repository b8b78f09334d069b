import { styleText } from 'node:util';
import { defineCommand } from 'citty';
import { printable } from '@soulbox/envd-client/printable';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiConnection } from '../../api/connection.ts';
import { followApi } from '../../api/stream.ts';
import type { ApiLogEntry, ApiSandboxLogs } from '../../api/wire.ts';
import { parseDurationFlag } from '../../command-line/parse-duration.ts';
import { apiDataDirArg, parseChoiceFlag, parseNumberFlag, sandboxArg } from '../../command-line/shared-args.ts';

const pageSize = 1000;
const longestSeconds = 30 * 86_400;
const levels = ['debug', 'info', 'warn', 'error'] as const;
const colors = { warn: 'yellow', error: 'red' } as const;

export const sandboxLogs = defineCommand({
  meta: {
    name: 'logs',
    description: 'Print the log of a sandbox, oldest first: what happened to it, and its processes',
    examples: ['soulbox sandbox logs ID --follow', 'soulbox sandbox logs ID --since 10m --level warn'],
  },
  args: {
    sandbox: sandboxArg,
    follow: { type: 'boolean', alias: 'f', description: 'Follow new entries until Ctrl-C or the end of the sandbox' },
    tail: { type: 'string', description: 'Begin with the newest entries, so many', valueHint: 'N' },
    since: { type: 'string', description: 'Begin so long ago, such as 90s, 10m or 24h', valueHint: 'DURATION' },
    level: { type: 'string', description: 'The lowest level (default debug)', valueHint: levels.join('|') },
    search: { type: 'string', description: 'Only entries whose message contains it', valueHint: 'TEXT' },
    'data-dir': apiDataDirArg,
    json: { type: 'boolean', description: 'Print one JSON object per line' },
  },
  async run({ args }) {
    const level = parseChoiceFlag('level', args.level, levels);
    const tail = parseNumberFlag('tail', args.tail, 1, pageSize);
    const since = parseDurationFlag('since', args.since, longestSeconds);
    const api = await findApi(args['data-dir']);
    const log: LogSource = {
      ...{ api, path: `/v2/sandboxes/${encodeURIComponent(args.sandbox)}/logs` },
      filter: { level, search: args.search },
    };
    const place: Place = { cursor: since === undefined ? undefined : Date.now() - since * 1000, seen: 0 };
    const print = (entry: ApiLogEntry): void => console.log(args.json === true ? JSON.stringify(entry) : lineOf(entry));
    if (args.follow === true) {
      const beginning = { cursor: since === undefined ? undefined : Date.now() - since * 1000, limit: tail };
      for await (const entry of follow(log, beginning)) print(entry);
      console.error(`The sandbox ${args.sandbox} has ended.`);
      return;
    }
    if (tail !== undefined) for (const entry of await readNewest(log, tail, place)) print(entry);
    else for await (const entry of readOn(log, place)) print(entry);
  },
});

interface LogSource {
  readonly api: ApiConnection;
  readonly path: string;
  readonly filter: Readonly<Record<string, string | undefined>>;
}

/** How far the log was read. Entries of one millisecond can arrive one after the other. */
interface Place {
  /** Unix milliseconds, inclusive. Undefined: the beginning. */
  cursor: number | undefined;
  /** Entries of that millisecond that were read. */
  seen: number;
}

async function readPage(
  { api, path, filter }: LogSource,
  query: Readonly<Record<string, string | number | undefined>>,
): Promise<readonly ApiLogEntry[]> {
  return (await callApi<ApiSandboxLogs>(api, { path, query: { ...filter, ...query } })).body.logs;
}

/** What the log has from the beginning on, and what arrives, until the sandbox has ended. */
async function* follow(
  { api, path, filter }: LogSource,
  beginning: Readonly<Record<string, number | undefined>>,
): AsyncGenerator<ApiLogEntry> {
  let after: string | undefined;
  const call = () => ({ path, query: { ...filter, ...(after === undefined ? beginning : { after }) } });
  for await (const { log, cursor } of followApi<{ readonly log: ApiLogEntry; readonly cursor: string }>(api, call)) {
    after = cursor;
    yield log;
  }
}

/** All entries from the place on, which is moved behind them. */
async function* readOn(log: LogSource, place: Place): AsyncGenerator<ApiLogEntry> {
  for (;;) {
    const page = await readPage(log, { cursor: place.cursor, limit: pageSize });
    // The oldest entries of a log are dropped, and those that were read may be among them.
    const again = page.filter(({ timestamp }) => Date.parse(timestamp) === place.cursor).length;
    const fresh = page.slice(Math.min(place.seen, again));
    for (const entry of fresh) {
      pass(place, entry);
      yield entry;
    }
    if (page.length < pageSize) return;
    // More entries of one millisecond than one page has cannot be read.
    if (fresh.length === 0) Object.assign(place, { cursor: (place.cursor ?? 0) + 1, seen: 0 });
  }
}

async function readNewest(log: LogSource, limit: number, place: Place): Promise<readonly ApiLogEntry[]> {
  const oldest = place.cursor ?? 0;
  const newest = await readPage(log, { limit, direction: 'backward' });
  const entries = newest.filter(({ timestamp }) => Date.parse(timestamp) >= oldest).toReversed();
  for (const entry of entries) pass(place, entry);
  return entries;
}

function pass(place: Place, { timestamp }: ApiLogEntry): void {
  const at = Date.parse(timestamp);
  place.seen = at === place.cursor ? place.seen + 1 : 1;
  place.cursor = at;
}

/** Parts of it come from the sandbox. */
function lineOf({ timestamp, level, message, fields }: ApiLogEntry): string {
  const name = level.padEnd(5);
  const shown =
    level === 'warn' || level === 'error' ? styleText(colors[level], name, { stream: process.stdout }) : name;
  const facts = Object.entries(fields).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return `${timestamp}  ${shown}  ${printable([message, ...facts].join('  '))}`;
}
