import { SoulBoxError } from '@soulbox/base';
import type { EnvdTarget } from '@soulbox/envd-client';
import { callApi } from './call.ts';
import type { ApiConnection } from './connection.ts';
import { envdTarget } from './envd.ts';
import type { ApiSandboxDetail } from './wire.ts';

/** The envd of a sandbox, and what it requires. */
export interface ReachedSandbox {
  readonly target: EnvdTarget;
  /** Empty if it requires none. */
  readonly token: string;
}

/** Throws `illegal_transition` for a paused sandbox that does not resume by itself, and ApiError for an unknown one. */
export async function reachSandbox(api: ApiConnection, sandboxId: string): Promise<ReachedSandbox> {
  const { body } = await callApi<ApiSandboxDetail>(api, { path: `/sandboxes/${encodeURIComponent(sandboxId)}` });
  if (body.state === 'paused' && !body.lifecycle.autoResume) {
    const advice = `Resume it with "soulbox sandbox resume ${sandboxId}".`;
    throw new SoulBoxError('illegal_transition', `The sandbox ${sandboxId} is paused. ${advice}`);
  }
  return { target: envdTarget(api, sandboxId), token: body.envdAccessToken ?? '' };
}
