import type { ApiConnection } from './connection.ts';

/** The command that lists what was not found. */
const lists: Readonly<Record<string, string>> = {
  sandbox_not_found: 'sandbox list',
  snapshot_not_found: 'snapshot list',
  template_not_found: 'template list',
  build_not_found: 'template show TEMPLATE',
  function_not_found: 'function list',
  key_not_found: 'key list',
  webhook_not_found: 'webhook list',
  secret_not_found: 'secret list',
  team_not_found: 'team list',
};

/** What helps when the server does not respond. */
export function hintForSilence(api: ApiConnection): string {
  return `The address comes from ${sourceOf(api)}. On its host, "soulbox status" shows whether the server runs and "soulbox up --detach" starts it. "soulbox context use" chooses another server.`;
}

/** What helps after an error response; undefined if the message says it all. */
export function hintForAnswer(api: ApiConnection, status: number, reason: string): string | undefined {
  if (status === 401)
    return `The key comes from ${sourceOf(api)}. Set E2B_API_URL and E2B_API_KEY, choose a context with --context, or sign in with "soulbox auth login".`;
  if (status === 403)
    return `The key comes from ${sourceOf(api)}, and "soulbox key list" shows what each key may do. Use another with --context or E2B_API_KEY; "soulbox key create NAME --role ROLE" creates one.`;
  const list = Object.hasOwn(lists, reason) ? lists[reason] : undefined;
  return list === undefined ? undefined : `"soulbox ${list}" shows what there is at ${api.url} (${sourceOf(api)}).`;
}

function sourceOf({ source, url }: ApiConnection): string {
  return source ?? url;
}
