import { callApi } from './call.ts';
import type { ApiConnection } from './connection.ts';
import type { ApiSandboxDetail } from './wire.ts';

/** What the API would use. */
const resumedSeconds = 300;

/** The facts of a sandbox, which is resumed if it is paused. Throws ApiError for one that is not the team's. */
export async function findAwake(api: ApiConnection, sandboxId: string): Promise<ApiSandboxDetail> {
  const path = `/sandboxes/${encodeURIComponent(sandboxId)}`;
  const { body: found } = await callApi<ApiSandboxDetail>(api, { path });
  if (found.state === 'paused')
    await callApi(api, { method: 'POST', path: `/v2${path}/connect`, body: { timeout: resumedSeconds } });
  return found;
}
