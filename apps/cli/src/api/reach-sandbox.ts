import type { EnvdTarget } from '@soulbox/envd-client';
import type { ApiConnection } from './connection.ts';
import { envdTarget } from './envd.ts';
import { findAwake } from './find-awake.ts';

/** The envd of a sandbox, and what it requires. */
export interface ReachedSandbox {
  readonly target: EnvdTarget;
  /** Empty if it requires none. */
  readonly token: string;
}

/** Resumes a paused sandbox. Throws ApiError for one that is not the team's. */
export async function reachSandbox(api: ApiConnection, sandboxId: string): Promise<ReachedSandbox> {
  const { envdAccessToken = '' } = await findAwake(api, sandboxId);
  return { target: envdTarget(api, sandboxId), token: envdAccessToken };
}
