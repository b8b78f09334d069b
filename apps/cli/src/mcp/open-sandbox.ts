import { SoulBoxError } from '@soulbox/base';
import { createFiles } from '@soulbox/envd-client';
import type { Files, Programs } from '@soulbox/envd-client';
import { callApi } from '../api/call.ts';
import type { ApiConnection } from '../api/connection.ts';
import { envdTarget, openEnvd } from '../api/envd.ts';
import type { ApiSandboxDetail } from '../api/wire.ts';
import { inPath } from './tool.ts';

/** What runs in a sandbox, and its files. */
export interface OpenSandbox {
  readonly programs: Programs;
  readonly files: Files;
}

/** The user of E2B's templates. */
export const defaultUser = 'user';

/** Throws `illegal_transition` for a paused sandbox, and ApiError for one that is not the team's. */
export async function openSandbox(api: ApiConnection, sandboxId: string, user = defaultUser): Promise<OpenSandbox> {
  const { body } = await callApi<ApiSandboxDetail>(api, { path: `/sandboxes/${inPath(sandboxId)}` });
  if (body.state === 'paused' && !body.lifecycle.autoResume)
    throw new SoulBoxError('illegal_transition', `The sandbox ${sandboxId} is paused. Call sandbox_resume first.`);
  const token = body.envdAccessToken ?? '';
  return {
    programs: openEnvd(api, sandboxId, token),
    files: createFiles(envdTarget(api, sandboxId), token, user),
  };
}
