import { request as httpRequest } from 'node:http';
import { asUser, createClients, runShell } from './clients.ts';
import type { TestEnvd } from './start-envd.ts';

export const octetStream = { 'content-type': 'application/octet-stream' };

/** Calls the file routes of an envd like a client. `shell` runs a command as root. */
export function createFileCalls(envd: () => TestEnvd) {
  function url(query: Record<string, string>): string {
    return `${envd().baseUrl}/files?${new URLSearchParams(query).toString()}`;
  }

  async function upload(
    path: string,
    body: BodyInit,
    headers: Record<string, string> = {},
    query: Record<string, string> = {},
  ) {
    return await fetch(url({ path, ...query }), { method: 'POST', headers: { ...octetStream, ...headers }, body });
  }

  async function download(path: string, headers: Record<string, string> = {}, query: Record<string, string> = {}) {
    return await fetch(url({ path, ...query }), { headers });
  }

  /** Returns the raw body, because fetch decodes gzip by itself. */
  async function rawGet(path: string, headers: Record<string, string>) {
    return await new Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: Buffer }>(
      (resolve, reject) => {
        const sent = httpRequest(url({ path }), { headers }, (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
          );
        });
        sent.on('error', reject);
        sent.end();
      },
    );
  }

  async function shell(line: string): Promise<string> {
    return (await runShell(createClients(envd().baseUrl).process, line, asUser('root'))).stdout;
  }

  return { url, upload, download, rawGet, shell };
}
