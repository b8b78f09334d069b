import { callApi } from '../../api/call.ts';
import type { ApiConnection } from '../../api/connection.ts';
import type { ApiKey, ApiKeyBudgets, CreatedApiKey } from '../../api/wire.ts';
import type { KeyStore, ShownKey } from './key-store.ts';

/** The keys of the team of the connection. */
export function openKeysOfApi(api: ApiConnection): KeyStore {
  const pathOf = (id: string, rest = ''): string => `/api-keys/${encodeURIComponent(id)}${rest}`;
  return {
    list: async () => (await callApi<readonly ApiKey[]>(api, { path: '/api-keys' })).body.map(shownKeyOfApi),
    create: async ({ name, isolation, role, scopes, isOpen, templates, expiresAt }) => {
      const body = {
        ...{ name, isolation, role },
        // The server gives a key without them the widest that the key of this call may give.
        scopes: isOpen ? undefined : scopes,
        templates: templates.length === 0 ? undefined : templates,
        expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt).toISOString(),
      };
      const { body: made } = await callApi<CreatedApiKey>(api, { method: 'POST', path: '/api-keys', body });
      return { ...shownKeyOfApi(made), key: made.key };
    },
    rename: async (id, name) => {
      await callApi(api, { method: 'PATCH', path: pathOf(id), body: { name } });
    },
    revoke: async (id) => {
      await callApi(api, { method: 'DELETE', path: pathOf(id) });
    },
    listBudgets: async (id) => {
      const { body } = await callApi<ApiKeyBudgets>(api, { path: pathOf(id, '/budgets') });
      return body.budgets.map(({ kind, period, amount }) => ({ kind, period, amount }));
    },
    setBudgets: async (id, budgets) => {
      await callApi(api, { method: 'PUT', path: pathOf(id, '/budgets'), body: { budgets } });
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

function shownKeyOfApi(key: ApiKey): ShownKey {
  const { id, name, mask, isolation, role, scopes, templates, createdAt, expiresAt, lastUsed } = key;
  return {
    ...{ id, name, key: `${mask.prefix}${mask.maskedValuePrefix}...${mask.maskedValueSuffix}` },
    ...{ isolation, role, scopes, templates, createdAt, expiresAt, lastUsedAt: lastUsed },
  };
}
