import { headers } from '@soulbox/contract';

const timeoutMs = 5000;
const maxBytes = 4 * 1024 * 1024;

/**
 * The sandbox's own variables, from envd. Empty when envd returns none. envd returns none without the client's token,
 * and code must run in that case too.
 */
export async function readGlobals(
  envdUrl: string,
  accessToken: string | undefined,
): Promise<Readonly<Record<string, string>>> {
  try {
    const response = await fetch(`${envdUrl}/envs`, {
      headers: accessToken === undefined ? {} : { [headers.accessToken]: accessToken },
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (!response.ok || Number(response.headers.get('content-length') ?? 0) > maxBytes) return {};
    const value: unknown = await response.json();
    if (typeof value !== 'object' || value === null) return {};
    return Object.fromEntries(
      Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    );
  } catch {
    return {};
  }
}
