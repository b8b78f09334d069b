import { SoulBoxError } from '@soulbox/base';
import { findServer } from '@soulbox/box/server-file';
import { createApiKey } from '@soulbox/storage';
import type { Records, TeamRecord } from '@soulbox/storage';
import { ApiError } from '../../api/api-error.ts';
import { callApi } from '../../api/call.ts';
import type { ApiConnection } from '../../api/connection.ts';

/** Rows per page. The list is read again until it is empty. */
const pageSize = 100;

/**
 * Ends and deletes everything that a team has. The server does this, because only it can end sandboxes. The keys are
 * revoked first, so that nothing new is started meanwhile. Throws `host_not_ready` without a server.
 */
export async function emptyTeam(dataDirectory: string, records: Records, team: TeamRecord): Promise<void> {
  const server = await findServer(dataDirectory);
  const url = server?.state === 'ready' ? server.client['E2B_API_URL'] : undefined;
  if (url === undefined)
    throw new SoulBoxError(
      'host_not_ready',
      'Only a running server can end sandboxes. Start one with "soulbox up --detach".',
    );
  for (const { id } of await records.apiKeys.list(team.id)) await records.apiKeys.remove(team.id, id);
  const { key, record } = await createApiKey(records, team, 'deletion of the team');
  try {
    const api = { url, key, sandboxUrl: () => url };
    for (const { id } of await records.volumes.list(team.id)) await remove(api, `/volumes/${id}`);
    for (const { name } of await records.functions.list(team.id))
      await remove(api, `/functions/${encodeURIComponent(name)}`);
    await removeAll(
      async () => await listSandboxes(records, team.id),
      async (id) => await remove(api, `/sandboxes/${id}`),
    );
    for (const { id } of await records.templates.list(team.id)) await remove(api, `/templates/${id}`);
    await removeAll(
      async () => await listSnapshots(records, team.id),
      async (id) => await remove(api, `/snapshots/${id}`),
    );
  } finally {
    await records.apiKeys.remove(team.id, record.id);
  }
}

async function removeAll(list: () => Promise<string[]>, end: (id: string) => Promise<void>): Promise<void> {
  const tried = new Set<string>();
  for (;;) {
    const ids = (await list()).filter((id) => !tried.has(id));
    if (ids.length === 0) return;
    for (const id of ids) {
      tried.add(id);
      await end(id);
    }
  }
}

async function listSandboxes(records: Records, teamId: string): Promise<string[]> {
  return (await records.sandboxes.listLive()).filter((sandbox) => sandbox.teamId === teamId).map(({ id }) => id);
}

async function listSnapshots(records: Records, teamId: string): Promise<string[]> {
  const all = { teamId, sandboxId: undefined, name: undefined, tag: undefined, after: undefined, limit: pageSize };
  return (await records.snapshots.list(all)).snapshots.map(({ id }) => id);
}

/** An item that is already gone is not an error. */
async function remove(api: ApiConnection, path: string): Promise<void> {
  try {
    await callApi(api, { method: 'DELETE', path });
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
  }
}
