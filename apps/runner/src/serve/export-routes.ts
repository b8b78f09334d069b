import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ServiceImpl } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import { ImportMemory } from '@soulbox/contract/runner';
import type { ExportRequest as ExportMessage, ExportResponseSchema, RunnerService } from '@soulbox/contract/runner';
import { exportSource } from '../exports/export-source.ts';
import type { ExportEvent, ExportRequest } from '../exports/export-source.ts';
import { streamOf } from '../run/event-stream.ts';
import type { Emit } from '../run/event-stream.ts';
import type { Answers } from './answer.ts';
import { checkTeam } from './check-request.ts';
import type { ServeContext } from './serve-context.ts';
import { snapshotToMessage } from './to-message.ts';

/** Each keeps what it reads, which may use disk space for nothing else. */
const maxExports = 8;

const memoryWords = {
  [ImportMemory.UNSPECIFIED]: 'if-it-fits',
  [ImportMemory.REQUIRED]: 'required',
  [ImportMemory.NEVER]: 'never',
} as const;

/** Serves exports, and imports block by block: calls have no streams of the caller. */
export function createExportRoutes(
  context: ServeContext,
  { answer, stream }: Answers,
): Partial<ServiceImpl<typeof RunnerService>> {
  const { imports, usageOf } = context;
  let exports = 0;
  const run = async (wanted: ExportRequest, emit: Emit<ExportEvent>, left: AbortSignal): Promise<void> => {
    exports += 1;
    try {
      await exportSource(context, await context.exportKey(), wanted, emit, left);
    } finally {
      exports -= 1;
    }
  };
  return {
    export: stream(async function* (request: ExportMessage, handler) {
      const wanted = exportFromMessage(request);
      if (exports >= maxExports)
        throw new SoulBoxError(
          'limit_exceeded',
          `This server runs at most ${maxExports} exports at once. Retry later.`,
          {
            retryAfterSeconds: 30,
          },
        );
      // A reader that leaves never takes the next event, so the work itself must end.
      const gone = AbortSignal.any([handler.signal, context.stopping]);
      const events = streamOf<ExportEvent>(async (emit, left) => await run(wanted, emit, left), gone);
      for await (const event of events) yield eventToMessage(event);
    }),

    beginImport: answer(async ({ header, snapshotId, teamId, memory, teamLimits }) => {
      checkTeam(usageOf, teamId, teamLimits, 'diskBytes');
      if (header === undefined) throw new SoulBoxError('bad_request', 'An import requires the header of its file.');
      const { manifest, key, signature } = header;
      const begun = await imports.begin({
        ...{ manifest, signature: { key, signature, manifestBytes: manifest.length }, snapshotId, teamId },
        memory: memoryWords[memory],
      });
      return { templateId: begun.templateId, memoryLeftOut: begun.memoryLeftOut ?? '' };
    }),

    importBlock: answer(async ({ snapshotId, index, block }) => {
      await imports.take(snapshotId, index, block);
      return {};
    }),

    finishImport: answer(async ({ snapshotId }) => ({
      snapshot: snapshotToMessage(await imports.finish(snapshotId)),
    })),

    abandonImport: answer(async ({ snapshotId }) => {
      await imports.abandon(snapshotId);
      return {};
    }),
  };
}

function exportFromMessage({ source, withMemory }: ExportMessage): ExportRequest {
  switch (source.case) {
    case 'sandboxId':
      return { source: { sandboxId: source.value }, withMemory };
    case 'snapshotId':
      return { source: { snapshotId: source.value }, withMemory };
    case undefined:
      throw new SoulBoxError('bad_request', 'An export requires a sandbox or a snapshot.');
  }
}

function eventToMessage(event: ExportEvent): MessageInitShape<typeof ExportResponseSchema> {
  if ('block' in event) return { content: { case: 'block', value: event.block } };
  const { manifest, signature } = event;
  return { content: { case: 'header', value: { manifest, key: signature.key, signature: signature.signature } } };
}
