import type { AuditFacts } from '@soulbox/audit';

/** What a valid body of a create or a change sets: `access` for the credentials, and `readOnly`. */
export function bucketFacts(body: unknown): AuditFacts {
  const { credentials, readOnly } = body as { readonly credentials?: object | null; readonly readOnly?: boolean };
  return {
    ...(credentials === undefined ? {} : { access: credentials === null ? 'removed' : 'set' }),
    ...(readOnly === undefined ? {} : { readOnly }),
  };
}
