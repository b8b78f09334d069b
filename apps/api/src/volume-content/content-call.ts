import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerOf } from '../auth/authenticate.ts';
import { isClosed, keySignalOf } from '../auth/key-signal.ts';
import type { ApiContext } from '../context.ts';
import { deedOf } from '../http/audit-requests.ts';
import { getVolumeToUse } from '../lookup/volume.ts';
import type { VolumeAnswer, VolumeCall, VolumePlace } from '../volume-service/volume-service.ts';
import { getVolumeService } from '../volumes/schemas.ts';

/** What all routes of the contents have. Errors of E2B's content API have a text as their code. */
export const contentConfig = { auth: 'key-or-volume-token', hasNamedErrors: true } as const;

/** A request about the contents of a volume, whose caller may use it. */
export interface ContentRequest {
  readonly teamId: string;
  /** Of the volume, if it has one. */
  readonly sizeMb: number | undefined;
  /** Aborted when the client leaves, its key ends, or the server stops. */
  readonly signal: AbortSignal;
  call(what: Omit<VolumeCall, keyof VolumePlace | 'signal'>): Promise<VolumeAnswer>;
}

/**
 * Uses are too many for a record each: they are counted, like those of signed URLs. Throws `volume_not_found` and
 * `not_implemented`.
 */
export async function beginContent(
  context: ApiContext,
  request: FastifyRequest,
  reply: FastifyReply,
  action: 'volume.read' | 'volume.write',
): Promise<ContentRequest> {
  const service = getVolumeService(context);
  const { team } = callerOf(request);
  const { volumeID } = request.params as { readonly volumeID: string };
  const volume = await getVolumeToUse(context, team, volumeID);
  const left = new AbortController();
  if (isClosed(reply)) left.abort(new Error('The client has disconnected.'));
  const deed = deedOf(request, team.id, { how: 'effect', action, class: 'operation', target: 'volume' });
  reply.raw.once('close', () => {
    // After a complete answer the client may still be sending. If the connection ended now, the client might not get
    // the answer.
    if (!reply.raw.writableFinished) left.abort(new Error('The client has disconnected.'));
    const { request: _, ...use } = deed;
    const status = reply.statusCode < 400 ? 'success' : 'failure';
    context.trail.recordUse({ ...use, target: { kind: 'volume', id: volume.id }, result: { status, code: 0 } });
  });
  const signal = AbortSignal.any([left.signal, keySignalOf(request, reply, context), context.stopping]);
  return {
    teamId: team.id,
    sizeMb: volume.sizeMb,
    signal,
    call: async (what) =>
      await service.call({ ...what, teamId: team.id, groupId: volume.groupId, volumeId: volume.id, signal }),
  };
}
