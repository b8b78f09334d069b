import type { ApiKeyRecord } from '@soulbox/storage';
import type { ShownKey } from './key-store.ts';

export function shownKey(record: ApiKeyRecord): ShownKey {
  const { id, name, mask, isolation, role, scopes, templates, createdAt, expiresAt, lastUsedAt } = record;
  return {
    ...{ id, name },
    key: `${mask.prefix}${mask.maskedValuePrefix}...${mask.maskedValueSuffix}`,
    isolation: isolation === '' ? null : isolation,
    role: role ?? null,
    scopes,
    templates: templates.length === 0 ? null : templates,
    createdAt: new Date(createdAt).toISOString(),
    expiresAt: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
    lastUsedAt: lastUsedAt === undefined ? null : new Date(lastUsedAt).toISOString(),
  };
}
