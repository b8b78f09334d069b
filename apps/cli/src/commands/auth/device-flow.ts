import { hostname, userInfo } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Secret, SoulBoxError } from '@soulbox/base';
import { requestOnce } from '../../server/request-once.ts';

/** The longest time between two polls, whatever the server wants. Seconds. */
const intervalMax = 60;
/** For one response of the server. Milliseconds. */
const timeoutMs = 30_000;

interface DeviceAnswer {
  readonly device_code: string;
  readonly user_code: string;
  readonly verification_uri: string;
  readonly verification_uri_complete: string;
  readonly expires_in: number;
  readonly interval: number;
}

/**
 * Gets a token from a person with a browser, which may be on another machine (RFC 8628). `show` tells the person what
 * to do. Throws `forbidden` when the person refuses, `host_not_ready` without a server, and `unauthorized` when nobody
 * decides in time.
 */
export async function askPerson(
  url: string,
  show: (where: { readonly page: string; readonly code: string; readonly link: string }) => void,
): Promise<Secret> {
  const client = { client_id: `soulbox CLI of ${userInfo().username} on ${hostname()}` };
  const asked = await post(url, '/auth/device-code', client);
  if (asked.status === 404)
    throw new SoulBoxError(
      'forbidden',
      `People cannot sign in at ${url}: it has no identity provider (docs/sign-in.md).`,
    );
  if (asked.status !== 200) throw new SoulBoxError('host_not_ready', `${url} returned status ${asked.status}.`);
  const { device_code, user_code, verification_uri, verification_uri_complete, expires_in, ...more } =
    asked.body as DeviceAnswer;
  show({ page: verification_uri, code: user_code, link: verification_uri_complete });
  const grant = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code, ...client };
  const giveUp = Date.now() + expires_in * 1000;
  let { interval } = more;
  while (Date.now() < giveUp) {
    await sleep(Math.min(interval, intervalMax) * 1000);
    const answer = await post(url, '/auth/token', grant);
    const { status } = answer;
    const body = answer.body as { access_token?: string; error?: string };
    if (status === 200 && body.access_token !== undefined) return new Secret(body.access_token);
    if (body.error === 'access_denied') throw new SoulBoxError('forbidden', 'The access was refused in the browser.');
    if (body.error === 'slow_down') interval += 5;
    else if (body.error !== 'authorization_pending' && status !== 429) break;
  }
  throw new SoulBoxError('unauthorized', 'Nobody allowed the access in time. Start again.');
}

/** The type of the body is not verified, because the person has named the server. */
async function post(
  url: string,
  path: string,
  fields: Readonly<Record<string, string>>,
): Promise<{ readonly status: number; readonly body: unknown }> {
  try {
    const { status, text } = await requestOnce({
      ...{ method: 'POST', url: url + path, timeoutMs, redirect: 'error' },
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(fields).toString(),
    });
    return { status, body: JSON.parse(text) as unknown };
  } catch (cause) {
    throw new SoulBoxError('host_not_ready', `${url} does not respond as a SoulBox server.`, { cause });
  }
}
