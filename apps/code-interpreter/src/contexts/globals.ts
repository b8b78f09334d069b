import { get } from 'node:http';
import type { IncomingMessage } from 'node:http';
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
    const value: unknown = JSON.parse(await askEnvd(`${envdUrl}/envs`, accessToken));
    if (typeof value !== 'object' || value === null) return {};
    return Object.fromEntries(
      Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    );
  } catch {
    return {};
  }
}

/**
 * Not `fetch`: Node.js compiles it when it is called first, which takes 70 ms, and every sandbox would do that anew
 * before its first code. Throws also for an answer that is not successful or too large.
 */
async function askEnvd(url: string, accessToken: string | undefined): Promise<string> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const options = {
      headers: accessToken === undefined ? {} : { [headers.accessToken]: accessToken },
      signal: AbortSignal.timeout(timeoutMs),
      agent: false,
    };
    get(url, options, resolve).once('error', reject);
  });
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new Error(`The response has more than ${maxBytes} bytes.`);
    chunks.push(chunk);
  }
  if (answer.statusCode !== 200) throw new Error(`The response has the status ${answer.statusCode}.`);
  return Buffer.concat(chunks).toString('utf8');
}
