import { request as httpsRequest } from 'node:https';
import { connect as connectTls } from 'node:tls';
import type { Reach } from '@soulbox/network/outside';

/** No login response is longer. Bytes. */
const maxAnswerBytes = 64 * 1024;

interface Answer {
  readonly status: number;
  /** Undefined when the body is not JSON. */
  readonly json: unknown;
}

/** Posts to the root of a host over HTTPS, on a connection that `reach` makes. Redirects are returned, not followed. */
export async function postJson(
  reach: Reach,
  host: string,
  post: { headers: Readonly<Record<string, string>>; body: string; signal: AbortSignal },
): Promise<Answer> {
  const socket = await reach(host, 443);
  const createConnection = (): ReturnType<typeof connectTls> => connectTls({ socket, servername: host });
  const { headers, body, signal } = post;
  try {
    return await new Promise((resolve, reject) => {
      const request = httpsRequest({ host, path: '/', method: 'POST', headers, createConnection, signal });
      request.on('error', reject);
      request.on('response', (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => {
          text += part;
          if (text.length > maxAnswerBytes) answer.destroy(new Error('the response is too long'));
        });
        answer.on('error', reject);
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, json: parseJson(text) }));
      });
      request.end(body);
    });
  } finally {
    socket.destroy();
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
