import { headers, parseSandboxId } from '@soulbox/contract';
import type { SnapshotPosition, TeamRecord } from '@soulbox/storage';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, pageQuery } from '../http/schemas.ts';
import { positionFromToken, tokenFromPosition } from '../paging/page-token.ts';
import { isOwnNamespace, parseTemplateReference } from '../names/reference.ts';
import { snapshotSchema, snapshotToWire } from './to-wire.ts';

const listQuery = z.object({
  sandboxID: z.string().max(128).optional().describe('Sandbox that it was made from. It may no longer exist.'),
  name: z.string().max(256).optional().describe('`[team/]name[:tag]`; without a tag: all tags of the name.'),
  ...pageQuery,
});

export function addListSnapshotsRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/snapshots',
    {
      schema: {
        tags: ['snapshots'],
        summary: "List the team's snapshots by page, newest first",
        description: 'Response header: `X-Next-Token` if there is another page.',
        querystring: listQuery,
        response: { 200: z.array(snapshotSchema), ...errors(400) },
      },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      const { limit, nextToken } = request.query;
      const after = nextToken === undefined ? undefined : positionOf(nextToken);
      const filter = filterOf(team, request.query);
      if (filter === undefined) return [];
      const page = await context.records.snapshots.list({ ...filter, after, limit });
      if (page.next !== undefined) void reply.header(headers.nextToken, tokenOf(page.next));
      return page.snapshots.map((snapshot) => snapshotToWire(snapshot, team));
    },
  );
}

/** Undefined when nothing of this team can match: the text names no sandbox or snapshot, or another team's. */
function filterOf(team: TeamRecord, query: { sandboxID?: string | undefined; name?: string | undefined }) {
  const sandboxId = query.sandboxID === undefined ? undefined : parseSandboxId(query.sandboxID);
  const reference = query.name === undefined ? undefined : parseTemplateReference(query.name);
  if (query.sandboxID !== undefined && sandboxId === undefined) return undefined;
  if (query.name !== undefined && reference === undefined) return undefined;
  if (!isOwnNamespace(team, reference?.namespace)) return undefined;
  return { teamId: team.id, sandboxId, name: reference?.name, tag: reference?.tag };
}

/** In the same form as for sandboxes: a time and an id. */
const tokenOf = ({ createdAt, id }: SnapshotPosition): string =>
  tokenFromPosition({ startedAt: createdAt, id }, 'desc');

function positionOf(token: string): SnapshotPosition {
  const { startedAt, id } = positionFromToken(token, 'desc');
  return { createdAt: startedAt, id };
}
