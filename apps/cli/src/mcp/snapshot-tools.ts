import { z } from 'zod';
import { callApi } from '../api/call.ts';
import type { ApiCopy, ApiSnapshot } from '../api/wire.ts';
import { addTool, inPath, sandboxIdInput } from './tool.ts';
import type { ToolContext } from './tool.ts';

const forksMax = 20;

export function addSnapshotTools(context: ToolContext): void {
  const { api } = context;
  addTool(context, 'sandbox_fork', {
    title: 'Fork a sandbox',
    description:
      'Makes copies of a running or paused sandbox, with its files, memory and running processes. They continue independently. ' +
      'Use it to try several continuations of one state.',
    input: z.strictObject({
      sandboxId: sandboxIdInput,
      count: z.int().min(1).max(forksMax).default(1),
      timeoutSeconds: z.int().min(1).max(604_800).default(900).describe('Seconds until each copy ends, from now'),
    }),
    async run({ sandboxId, count, timeoutSeconds }) {
      const path = `/sandboxes/${inPath(sandboxId)}/fork`;
      const body = { count, timeout: timeoutSeconds };
      const copies = (await callApi<readonly ApiCopy[]>(api, { method: 'POST', path, body })).body;
      const sandboxIds = copies.flatMap(({ sandbox }) => (sandbox === undefined ? [] : [sandbox.sandboxID]));
      const errors = copies.flatMap(({ error }) => (error === undefined ? [] : [error.message]));
      return { value: { sandboxIds, errors }, isError: sandboxIds.length === 0 };
    },
  });

  addTool(context, 'snapshot_create', {
    title: 'Take a snapshot',
    description:
      'Saves the state of a sandbox, with its memory, and lets it continue. sandbox_create takes the name or id of the snapshot as its template.',
    input: z.strictObject({
      sandboxId: sandboxIdInput,
      name: z.string().min(1).max(128).optional().describe('Its name: a-z, 0-9, - and _, optionally with :TAG'),
    }),
    async run({ sandboxId, name }) {
      const path = `/sandboxes/${inPath(sandboxId)}/snapshots`;
      const { body } = await callApi<ApiSnapshot>(api, { method: 'POST', path, body: { name } });
      return { value: snapshotOf(body) };
    },
  });

  addTool(context, 'snapshot_list', {
    title: 'List snapshots',
    description: 'Lists the snapshots of the team, at most 100.',
    input: z.strictObject({}),
    hints: { readOnlyHint: true, idempotentHint: true },
    async run() {
      const answer = await callApi<readonly ApiSnapshot[]>(api, { path: '/snapshots', query: { limit: 100 } });
      return {
        value: {
          snapshots: answer.body.map(snapshotOf),
          hasMore: answer.headers.get('x-next-token') !== null,
        },
      };
    },
  });

  addTool(context, 'snapshot_delete', {
    title: 'Delete a snapshot',
    description: 'Deletes a snapshot for ever. Sandboxes that were created from it continue.',
    input: z.strictObject({ snapshotId: z.string().min(1).max(200).describe('Id or name of the snapshot') }),
    hints: { destructiveHint: true, idempotentHint: true },
    async run({ snapshotId }) {
      await callApi(api, { method: 'DELETE', path: `/snapshots/${inPath(snapshotId)}` });
      return { value: { snapshotId, deleted: true } };
    },
  });
}

function snapshotOf({ snapshotID, names, sandboxID, createdAt, sizeBytes }: ApiSnapshot): Record<string, unknown> {
  return { snapshotId: snapshotID, names, sandboxId: sandboxID, createdAt, sizeBytes };
}
