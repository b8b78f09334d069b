import { text } from 'node:stream/consumers';
import { defineCommand } from 'citty';
import { z } from 'zod';
import { SoulBoxError } from '@soulbox/base';
import { findServer } from '@soulbox/box/server-file';
import { printable } from '@soulbox/envd-client/printable';
import { resolveFolders } from '../../config.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { abortOnSignal } from '../../output/abort-on-signal.ts';
import { showBytes } from '../../output/table.ts';
import { askHost } from '../../server/ask-host.ts';

export const showStorage = defineCommand({
  meta: {
    name: 'status',
    description: 'Show what of a running server is in its object store; exit code 1 if something is not',
    examples: ['sudo soulbox storage status', 'sudo soulbox storage status --json'],
  },
  args: { 'data-dir': dataDirArg, json: jsonArg },
  async run({ args }) {
    const { dataDirectory } = resolveFolders(args['data-dir']);
    const report = await readReport(dataDirectory);
    if (args.json === true) console.log(JSON.stringify(report, undefined, 2));
    else print(report);
    const isWhole = [report, report.volumes].every(
      ({ uploaded, wanted, state }) => uploaded === wanted && state === 'idle',
    );
    return isWhole ? exitCodes.ok : exitCodes.failed;
  },
});

const stateSchema = z.enum(['starting', 'working', 'idle', 'waiting', 'away', 'refused']);

const volumesSchema = z.object({
  state: stateSchema,
  reason: z.string(),
  wanted: z.number(),
  uploaded: z.number(),
  uploads: z.number(),
  uploadedBytes: z.number(),
  failures: z.number(),
  behind: z.array(
    z.object({
      id: z.string(),
      seconds: z.number(),
      bytes: z.number(),
      storedAtMs: z.number(),
      reason: z.string(),
    }),
  ),
});

const reportSchema = z.object({
  state: stateSchema,
  reason: z.string(),
  wanted: z.number(),
  uploaded: z.number(),
  pendingBytes: z.number(),
  uploads: z.number(),
  uploadedBytes: z.number(),
  failures: z.number(),
  localBytes: z.number(),
  evictions: z.number(),
  evictedBytes: z.number(),
  fetches: z.number(),
  fetchedBytes: z.number(),
  fetchFailures: z.number(),
  notUploaded: z.array(z.object({ what: z.string(), id: z.string(), state: z.string(), reason: z.string() })),
  volumes: volumesSchema,
  cache: z
    .object({
      levels: z.array(
        z.object({
          level: z.string(),
          ...{ hits: z.number(), hitBytes: z.number(), misses: z.number() },
          ...{ errors: z.number(), skipped: z.number(), wrong: z.number() },
          state: z.enum(['working', 'resting']),
          content: z
            .object({ bytes: z.number(), maxBytes: z.number(), entries: z.number(), evictions: z.number() })
            .optional(),
        }),
      ),
      ...{ sourceReads: z.number(), sourceBytes: z.number(), shared: z.number(), ahead: z.number() },
    })
    .optional(),
});
type StorageReport = z.infer<typeof reportSchema>;

/** Throws `host_not_ready` without a server that uploads. */
async function readReport(dataDirectory: string): Promise<StorageReport> {
  if ((await findServer(dataDirectory))?.state !== 'ready')
    throw new SoulBoxError('host_not_ready', `No server is running for ${dataDirectory}.`);
  const answer = await askHost(dataDirectory, { method: 'GET', path: '/host/storage' }, abortOnSignal());
  const body = await text(answer);
  if (answer.statusCode === 200) return reportSchema.parse(JSON.parse(body));
  const why = answer.statusCode === 501 ? 'does not use an object store (SOULBOX_STORAGE)' : `answered ${body}`;
  throw new SoulBoxError('host_not_ready', `The server of ${dataDirectory} ${printable(why.slice(0, 1000))}.`);
}

const words: Readonly<Record<StorageReport['state'], string>> = {
  starting: 'The store is being read.',
  working: 'Uploads are in progress.',
  idle: 'Everything that sleeps is in the store.',
  waiting: 'Uploads have failed and are tried again.',
  away: 'The store cannot be used.',
  refused: 'Nothing is uploaded.',
};

function print(report: StorageReport): void {
  const { state, reason, wanted, uploaded, pendingBytes, uploads, uploadedBytes, failures, notUploaded } = report;
  console.log(`${words[state]}${reason === '' ? '' : ` ${printable(reason)}`}`);
  console.log(`${uploaded} of ${wanted} sandboxes and snapshots are in the store; ${showBytes(pendingBytes)} are not.`);
  console.log(`Since the start: ${uploads} uploads, ${showBytes(uploadedBytes)}, ${failures} failures.`);
  const { localBytes, evictions, evictedBytes, fetches, fetchedBytes, fetchFailures } = report;
  console.log(
    `On this host: ${showBytes(localBytes)} of saved memory and layers; ${evictions} copies, ${showBytes(evictedBytes)}, were removed. Fetched: ${fetches} times, ${showBytes(fetchedBytes)}, ${fetchFailures} failures.`,
  );
  for (const { what, id, state: outcome, reason: why } of notUploaded)
    console.log(`${outcome}: ${what} ${id}${why === '' ? '' : `: ${printable(why)}`}`);
  printVolumes(report.volumes);
  if (report.cache !== undefined) printCache(report.cache);
}

const volumeWords: Readonly<Record<StorageReport['state'], string>> = {
  ...words,
  working: 'Volumes are being uploaded.',
  idle: 'Everything that volumes have is in the store.',
  waiting: 'Uploads of volumes have failed and are tried again.',
  away: 'Volumes cannot be uploaded.',
  refused: 'No volume is uploaded.',
};

function printVolumes({ state, reason, wanted, uploaded, uploadedBytes, failures, behind }: StorageReport['volumes']) {
  console.log(`${volumeWords[state]}${reason === '' ? '' : ` ${printable(reason)}`}`);
  console.log(`${uploaded} of ${wanted} volumes are in the store as they are now.`);
  console.log(`Since the start of their service: ${showBytes(uploadedBytes)}, ${failures} failures.`);
  for (const { id, seconds, bytes, storedAtMs, reason: why } of behind) {
    const stored = storedAtMs === 0 ? 'not in the store' : `in the store as of ${new Date(storedAtMs).toISOString()}`;
    const failure = why === '' ? '' : `: ${printable(why)}`;
    console.log(`behind: volume ${printable(id)} by ${seconds} s, ${showBytes(bytes)}, ${stored}${failure}`);
  }
}

function printCache({ levels, sourceReads, sourceBytes, ahead }: NonNullable<StorageReport['cache']>): void {
  for (const { level, hits, hitBytes, misses, errors, wrong, state, content } of levels) {
    const asked = hits + misses + errors;
    const rate = asked === 0 ? '' : ` of ${asked} (${Math.round((100 * hits) / asked)} %)`;
    const faults = errors + wrong === 0 ? '' : `, ${errors} errors, ${wrong} wrong`;
    const held = content === undefined ? '' : `, holds ${showBytes(content.bytes)} of ${showBytes(content.maxBytes)}`;
    const rests = state === 'resting' ? ', does not work and is not asked' : '';
    console.log(`Cache ${printable(level)}: ${hits}${rate} objects, ${showBytes(hitBytes)}${faults}${held}${rests}.`);
  }
  console.log(`From the store: ${sourceReads} objects, ${showBytes(sourceBytes)}; ${ahead} were read ahead.`);
}
