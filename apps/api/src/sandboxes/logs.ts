import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { Caller } from '../auth/caller.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { followDescription, isFollowed, sendFollowed } from '../http/send-followed.ts';
import type { News } from '../http/send-followed.ts';
import { errors, sandboxParams, timeSchema, timeToWire, unixMs } from '../http/schemas.ts';
import { callRunner } from '../runner/call.ts';
import { getLive, withRow } from '../lookup/sandbox.ts';
import { logFromRunner, selectLogs } from './log-entries.ts';
import type { Log } from './log-entries.ts';
import { logEntrySchema, logLevels } from './schemas.ts';

/** Entries in one response (E2B's limit). */
const entriesMax = 1000;

const limit = z.coerce.number().int().min(0).max(entriesMax);

const oldLogsSchema = z
  .object({
    logs: z.array(
      z.object({ timestamp: timeSchema, line: z.string().describe('A JSON object with level and logger.') }),
    ),
    logEntries: z.array(logEntrySchema),
  })
  .meta({ id: 'SandboxLogs' });

const logsV2Query = z.object({
  cursor: unixMs.optional().describe('Unix milliseconds, inclusive. Default: the oldest entry, or now if `backward`.'),
  limit: limit
    .optional()
    .describe(
      `Default: ${entriesMax}. A stream begins with the newest entries, so many; by default with all that are kept.`,
    ),
  after: z
    .string()
    .regex(/^[a-z0-9]{1,40}-\d{1,15}-\d{1,15}$/)
    .optional()
    .describe('Only for a stream: continue after the line with this `cursor`.'),
  direction: z
    .enum(['forward', 'backward'])
    .default('forward')
    .describe('`backward` returns the newest entries first.'),
  level: z.enum(logLevels).optional().describe('The lowest level to return.'),
  search: z.string().max(256).optional().describe('Text that the message must contain.'),
});

export function addLogRoutes(app: ApiApp, context: ApiContext): void {
  const readLogs = async (caller: Caller, id: string): Promise<Log[]> => {
    const record = await getLive(context, caller, id);
    const { entries } = await withRow(context, record, () =>
      callRunner((options) => context.runner.getLogs({ sandboxId: record.id }, options)),
    );
    return entries.map(logFromRunner);
  };

  app.get(
    '/sandboxes/:sandboxID/logs',
    {
      config: { auth: 'key-or-signature' },
      schema: {
        tags: ['sandboxes'],
        summary: 'Log of a sandbox, oldest first (the CLI)',
        params: sandboxParams,
        querystring: z.object({
          start: unixMs.optional().describe('Unix milliseconds, inclusive.'),
          limit: limit.default(entriesMax),
        }),
        response: { 200: oldLogsSchema, ...errors(400, 404, 503) },
      },
    },
    async (request) => {
      const logs = await readLogs(callerOf(request), request.params.sandboxID);
      const { start, limit: max } = request.query;
      const selected = selectLogs(logs, { cursor: start, limit: max, direction: 'forward' });
      return { logs: selected.map(lineToWire), logEntries: selected.map(entryToWire) };
    },
  );

  app.get(
    '/v2/sandboxes/:sandboxID/logs',
    {
      config: { auth: 'key-or-signature' },
      schema: {
        tags: ['sandboxes'],
        summary: 'Log of a sandbox',
        description: `${followDescription} Each line has \`log\`, an entry, and its \`cursor\`. The last one of a sandbox that ended is \`{"ended":true}\`.`,
        params: sandboxParams,
        querystring: logsV2Query,
        response: {
          200: z.object({ logs: z.array(logEntrySchema) }).meta({ id: 'SandboxLogsV2' }),
          ...errors(400, 404, 503),
        },
      },
    },
    async (request, reply) => {
      const { query, params } = request;
      const caller = callerOf(request);
      if (isFollowed(request))
        return await sendFollowed(context, request, reply, followLog(context, caller, params.sandboxID, query));
      const logs = await readLogs(caller, params.sandboxID);
      return { logs: selectLogs(logs, { ...query, limit: query.limit ?? entriesMax }).map(entryToWire) };
    },
  );
}

/** Returns what arrived since its last call. A late entry can be older than those before. */
function followLog(
  context: ApiContext,
  caller: Caller,
  id: string,
  { cursor, limit: newest, level, search, after: from }: z.infer<typeof logsV2Query>,
): () => Promise<News> {
  let after = from ?? '';
  let isBeginning = from === undefined;
  return async () => {
    const record = await getLive(context, caller, id);
    const { entries } = await withRow(context, record, () =>
      callRunner((options) => context.runner.getLogs({ sandboxId: record.id, after }, options)),
    );
    after = entries.at(-1)?.cursor ?? after;
    const arrived = entries.map((entry) => ({ ...logFromRunner(entry), cursor: entry.cursor }));
    const since = isBeginning ? cursor : undefined;
    const selected = selectLogs(arrived, { level, search, cursor: since, limit: Infinity, direction: 'forward' });
    const chosen =
      isBeginning && newest !== undefined ? selected.slice(Math.max(0, selected.length - newest)) : selected;
    isBeginning = false;
    return { lines: chosen.map((log) => ({ log: entryToWire(log), cursor: log.cursor })) };
  };
}

function entryToWire(log: Log): z.infer<typeof logEntrySchema> {
  return { timestamp: timeToWire(log.atMs), level: log.level, message: log.message, fields: log.fields };
}

/** CLI 2.19.0 parses each line as JSON and reads `level` and `logger` as strings. It crashes without them. */
function lineToWire(log: Log): { timestamp: string; line: string } {
  const line = JSON.stringify({ ...log.fields, level: log.level, logger: log.logger, message: log.message });
  return { timestamp: timeToWire(log.atMs), line };
}
