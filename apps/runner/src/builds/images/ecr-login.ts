import { z } from 'zod';
import { SoulBoxError } from '@soulbox/base';
import type { Reach } from '@soulbox/network/outside';
import type { RegistryCredentials } from '../build-spec.ts';
import { postJson } from './post-json.ts';
import { amzDate, signAwsRequest } from './sign-aws-request.ts';

const answerSchema = z.object({ authorizationData: z.array(z.object({ authorizationToken: z.string() })).min(1) });

const timeoutMs = 30_000;

/**
 * Gets a password that is valid for some hours from Amazon's registry (API GetAuthorizationToken). Gives
 * `name:password`. Throws `image_unavailable`. Tests replace the network through `ask`.
 */
export async function fetchEcrLogin(
  credentials: Extract<RegistryCredentials, { kind: 'aws' }>,
  reach: Reach,
  signal: AbortSignal,
  ask: typeof postJson = postJson,
): Promise<string> {
  if (!/^[a-z]{2}(-[a-z0-9]+)+$/.test(credentials.region))
    throw new SoulBoxError('image_unavailable', 'The AWS region of the registry is not valid.');
  const host = `api.ecr.${credentials.region}.amazonaws.com`;
  const headers = {
    host,
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': 'AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken',
  };
  const now = new Date();
  const request = { method: 'POST', path: '/', query: '', headers, body: '{}' };
  const authorization = signAwsRequest(request, { ...credentials, service: 'ecr' }, now);
  const { host: _, ...sent } = headers;
  const { status, json } = await ask(reach, host, {
    headers: { ...sent, 'x-amz-date': amzDate(now), authorization },
    body: '{}',
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  }).catch((cause: unknown) => {
    throw new SoulBoxError('image_unavailable', `${host} cannot be reached.`, { cause });
  });
  const parsed = answerSchema.safeParse(json);
  if (status !== 200 || !parsed.success)
    throw new SoulBoxError('image_unavailable', `${host} refused the AWS credentials (status ${status}).`);
  return Buffer.from(parsed.data.authorizationData[0]?.authorizationToken ?? '', 'base64').toString('utf8');
}
