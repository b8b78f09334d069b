import type { Reason } from '@soulbox/base';
import { reasons, SoulBoxError } from '@soulbox/base';
import { httpStatusFromError } from '@soulbox/contract';

const introduction = `# Errors

Every error of SoulBox has a **reason**, a stable word. It decides the code (Connect's names, used by envd's RPCs) and the
HTTP status (used by the REST API, by envd's HTTP routes and by the gateway). Bodies look like this, as the official
clients expect them:

    HTTP:     {"code": 404, "message": "Sandbox \\"ix3k\\" was not found."}
    Connect:  {"code": "not_found", "message": "..."}

The message says what failed, with which value, and what to do. The reason is in the server's log, with the cause. Bodies of
the REST API also have an \`error_code\` for \`disk_full\` (the same word), for \`internal\` (\`internal_server_error\`), and for a create
that failed on the host (\`sandbox_create_failed\`, \`sandbox_placement_timeout\`). The gateway's edge (no such sandbox, closed
port) answers with E2B's own statuses and bodies: apps/gateway/src/errors.

This page is generated: \`node scripts/generate-errors-docs.ts\`. A test compares it with packages/base/src/reasons.ts.

`;

/** The text of docs/errors.md, made from the table of reasons. */
export function renderErrorsDoc(): string {
  const rows = (Object.keys(reasons) as Reason[]).map((reason) => {
    const status = httpStatusFromError(new SoulBoxError(reason, ''));
    return { reason, status, code: reasons[reason].code, help: reasons[reason].help };
  });
  rows.sort((a, b) => a.status - b.status || a.reason.localeCompare(b.reason));
  const lines = rows.map(({ reason, code, status, help }) => `| \`${reason}\` | ${code} | ${status} | ${help} |`);
  return `${introduction}| reason | code | HTTP | what it means, what to do |\n| --- | --- | --- | --- |\n${lines.join('\n')}\n`;
}
