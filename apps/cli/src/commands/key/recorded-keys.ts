import { createApiKey } from '@soulbox/storage';
import { resolveFolders } from '../../config.ts';
import { getTeam } from '../../records/get-team.ts';
import { openRecords } from '../../records/open-records.ts';
import { operatorNote } from '../../records/operator-note.ts';
import { keyNotFound } from './key-store.ts';
import type { KeyStore } from './key-store.ts';
import { shownKey } from './shown-key.ts';

/** The keys of a team in the records of this host. A running server sees each change at once. */
export async function openRecordedKeys(
  dataDir: string | undefined,
  teamText: string | undefined,
  { adds }: { readonly adds: boolean },
): Promise<KeyStore> {
  await using opened = new AsyncDisposableStack();
  const { records } = await openRecords(resolveFolders(dataDir).dataDirectory, { adds });
  opened.use(records);
  const team = await getTeam(records, teamText);
  const teamId = team.id;
  const noteOf = (action: string, id: string) => operatorNote({ action, teamId, target: { kind: 'key', id } });
  const dispose = opened.move();
  return {
    list: async () => (await records.apiKeys.list(teamId)).map(shownKey),
    create: async ({ name, isOpen: _, ...wanted }) => {
      const { key, record } = await createApiKey(records, team, name, {
        ...wanted,
        noteOf: ({ id }) => noteOf('key.create', id),
      });
      return { ...shownKey(record), key: key.reveal() };
    },
    rename: async (id, name) => {
      if (!(await records.apiKeys.rename(teamId, id, name, noteOf('key.rename', id)))) throw keyNotFound(id);
    },
    revoke: async (id) => {
      if (!(await records.apiKeys.remove(teamId, id, noteOf('key.revoke', id)))) throw keyNotFound(id);
    },
    listBudgets: async (keyId) => {
      const budgets = await records.quotas.listBudgets({ teamId, keyId });
      // The budget of a revoked key still applies to its sandboxes, so it can still be raised.
      if (budgets.length === 0 && (await records.apiKeys.find(teamId, keyId)) === undefined) throw keyNotFound(keyId);
      return budgets.map(({ kind, period, amount }) => ({ kind, period, amount }));
    },
    setBudgets: async (keyId, budgets) => {
      const all = budgets.map((budget) => ({ ...budget, teamId, keyId }));
      await records.quotas.setBudgets(teamId, keyId, all, noteOf('key.set-budgets', keyId));
    },
    [Symbol.asyncDispose]: async () => await dispose[Symbol.asyncDispose](),
  };
}
