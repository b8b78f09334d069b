import type { IncomingMessage } from 'node:http';
import { randomId, SoulBoxError } from '@soulbox/base';
import { dataBytesOf, readExportHeader } from '@soulbox/contract/export-file';
import type { ExportHeader, ExportManifest, OpenExport, UnparsedExport } from '@soulbox/contract/export-file';
import { ImportMemory } from '@soulbox/contract/runner';
import type { SnapshotRecord } from '@soulbox/storage';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { Caller } from '../auth/caller.ts';
import { keySignalOf } from '../auth/key-signal.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { arriving } from '../http/arriving.ts';
import { errors } from '../http/schemas.ts';
import { importFinishMs, importHeaderMs, importKeepaliveMs, runnerStateMs } from '../limits.ts';
import { raiseTeam } from '../quotas/budgets.ts';
import type { TeamLimits } from '../quotas/limit-table.ts';
import { storedHintSeconds } from '../quotas/quotas.ts';
import { callRunner } from '../runner/call.ts';
import { madeFrom } from '../runner/snapshot-facts.ts';
import { forgetQuietly } from '../snapshots/forget.ts';
import { parseSnapshotName } from '../snapshots/name.ts';
import type { SnapshotName } from '../snapshots/name.ts';
import { snapshotSchema, snapshotToWire } from '../snapshots/to-wire.ts';
import { limitsForRunner } from '../teams/usage.ts';

const memoryWords = {
  auto: ImportMemory.UNSPECIFIED,
  required: ImportMemory.REQUIRED,
  never: ImportMemory.NEVER,
} as const;

const importQuery = z.object({
  name: z.string().max(256).optional().describe('`[team/]name[:tag]` of the new snapshot. Default: no name.'),
  memory: z
    .enum(['auto', 'required', 'never'])
    .default('auto')
    .describe('What happens to saved memory: kept if it can be restored on this host, required, or left out.'),
});

const importedSchema = snapshotSchema
  .extend({
    hasMemory: z
      .boolean()
      .describe('Sandboxes from it continue with the saved memory. Otherwise they start on its files.'),
    memoryLeftOut: z
      .string()
      .describe('Why the memory of the file was left out. Empty: it was not, or there was none.'),
    settingsLeftOut: z.array(z.string()).describe('Settings that are not in the file, because they are secrets.'),
  })
  .meta({ id: 'ImportedSnapshot' });

interface Wanted extends SnapshotName {
  readonly id: string;
  readonly memory: keyof typeof memoryWords;
}

/** Receives a file as the body, of any content type, and makes a snapshot of it. */
export function addImportRoute(app: ApiApp, context: ApiContext): void {
  void app.register((scope: ApiApp, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, payload, parsed) => parsed(null, payload));
    scope.post(
      '/imports',
      {
        config: { body: 'upload' },
        schema: {
          tags: ['exports'],
          summary: 'Make a snapshot from an export file, which is the body. SoulBox extension.',
          description:
            'The file must be signed by this server or by one that its operator trusts (`SOULBOX_IMPORT_TRUSTED_KEYS`). It is checked while it arrives; nothing is kept of one that is refused.',
          querystring: importQuery,
          response: { 201: importedSchema, ...errors(400, 403, 404, 408, 409, 429, 501, 503) },
        },
      },
      async (request, reply) => {
        const caller = callerOf(request);
        using _slot = context.transfers.take('import', caller.team.id);
        const { name, memory } = request.query;
        const named = await parseSnapshotName(context, caller.team, name);
        const ended = keySignalOf(request, reply, context);
        const end = (): void => void request.raw.destroy(ended.reason as Error);
        ended.addEventListener('abort', end, { once: true });
        const file = await readHeader(request.raw);
        const wanted = { ...named, memory, id: `s${randomId(20)}` };
        const { snapshot, ...facts } = await importFile(context, caller, wanted, file);
        return await reply.code(201).send({ ...snapshotToWire(snapshot, caller.team), ...facts });
      },
    );
    done();
  });
}

async function readHeader(body: IncomingMessage): Promise<UnparsedExport> {
  const late = new SoulBoxError('request_timeout', 'The beginning of the file did not arrive in time. Retry.');
  const timer = setTimeout(() => body.destroy(late), importHeaderMs);
  try {
    return await readExportHeader(arriving(body));
  } finally {
    clearTimeout(timer);
  }
}

/**
 * As for a snapshot, an intent is in the records before anything is kept. A kill of this process in between leaves an
 * intent, which the next comparison of records and runner settles; the runner removes what no call follows.
 */
async function importFile(context: ApiContext, { team }: Caller, wanted: Wanted, unparsed: UnparsedExport) {
  const { id } = wanted;
  const limits = await context.quotas.limitsOf(team.id);
  context.snapshotsUnderway.add(id);
  let isIntended = false;
  try {
    const { templateId, memoryLeftOut } = await begin(context, team.id, wanted, unparsed, limits);
    // The runner has checked the signature: parsing what a stranger wrote could block this process.
    const file = unparsed.parse();
    await context.quotas.checkStorage(team.id, limits, dataBytesOf(file.manifest));
    const intent = intentOf(context, team.id, wanted, file.manifest, templateId);
    if (!(await context.records.snapshots.begin(intent, limits.snapshots))) throw tooManySnapshots(limits.snapshots);
    isIntended = true;
    const hasMemory = file.manifest.memory !== undefined && memoryLeftOut === '';
    await passBlocks(context, id, file, hasMemory);
    const { snapshot } = await callRunner(
      (options) => context.runner.finishImport({ snapshotId: id }, options),
      importFinishMs,
    );
    if (snapshot === undefined) throw new SoulBoxError('internal', 'The runner returned no snapshot.');
    const made = madeFrom(snapshot);
    for (const old of (await context.records.snapshots.complete(id, made)) ?? []) await forgetQuietly(context, old);
    context.logger.info({ team: team.id, snapshotId: id, hasMemory }, 'export imported');
    const record: SnapshotRecord = { ...intent, ...made, state: 'ready' };
    return { snapshot: record, hasMemory, memoryLeftOut, settingsLeftOut: file.manifest.leftOut };
  } catch (thrown) {
    await callRunner((options) => context.runner.abandonImport({ snapshotId: id }, options)).catch(() => undefined);
    if (isIntended) await forgetQuietly(context, id);
    throw thrown;
  } finally {
    context.snapshotsUnderway.delete(id);
  }
}

async function begin(
  context: ApiContext,
  teamId: string,
  { id, memory }: Wanted,
  { manifestBytes, signature }: ExportHeader,
  limits: TeamLimits,
) {
  const header = { manifest: new Uint8Array(manifestBytes), key: signature.key, signature: signature.signature };
  const order = { header, snapshotId: id, teamId, memory: memoryWords[memory], teamLimits: limitsForRunner(limits) };
  return await callRunner((options) => context.runner.beginImport(order, options), runnerStateMs);
}

function intentOf(
  { clock }: ApiContext,
  teamId: string,
  { id, name, tag }: Wanted,
  { source, sandbox }: ExportManifest,
  templateId: string,
) {
  const { isolation, cpuCount, memoryMb, diskMb: diskSizeMb } = sandbox;
  const size = { isolation, cpuCount, memoryMb, diskSizeMb };
  return { id, teamId, name, tag, templateId, sandboxId: source.sandboxId, createdAt: clock.now(), ...size };
}

/**
 * The runner checks each block. Without the memory, its blocks are only read; like a block from a slow sender, they may
 * take longer than the runner waits for a call.
 */
async function passBlocks(
  { runner }: ApiContext,
  snapshotId: string,
  file: OpenExport,
  hasMemory: boolean,
): Promise<void> {
  const layers = file.manifest.parts.filter(({ kind }) => kind === 'layer').length;
  const isWanted = (part: number): boolean => hasMemory || part < layers;
  const pass = async (index: number, block: Uint8Array): Promise<void> => {
    const order = { snapshotId, index, block: new Uint8Array(block) };
    await callRunner((options) => runner.importBlock(order, options), runnerStateMs);
  };
  let index = 0;
  // If the import has ended, the next call says why.
  const stay = (): void => void pass(index, new Uint8Array(0)).catch(() => undefined);
  const timer = setInterval(stay, importKeepaliveMs);
  try {
    for await (const { place, bytes } of file.blocks()) {
      if (!isWanted(place.part)) continue;
      await pass(index, bytes);
      index += 1;
    }
  } finally {
    clearInterval(timer);
  }
}

function tooManySnapshots(limit: number): SoulBoxError {
  return new SoulBoxError(
    'limit_exceeded',
    `The team has reached the maximum number of snapshots (${limit}). Delete some. ${raiseTeam('snapshots')}`,
    { retryAfterSeconds: storedHintSeconds },
  );
}
