import { ApiError } from './api-error.ts';
import type { ApiConnection } from './connection.ts';

/** E2B's port of envd. */
const envdPort = 49983;
const callTimeoutMs = 300_000;

/** The way to one sandbox's own daemon, through the gateway. */
export interface Envd {
  /** Replaces a file; folders above it are made. `~` is the home of the sandbox's user. */
  upload(path: string, content: Blob): Promise<void>;
  sendInput(pid: number, bytes: Uint8Array): Promise<void>;
  closeInput(pid: number): Promise<void>;
}

export function openEnvd(api: ApiConnection, sandboxId: string, accessToken: string): Envd {
  const headers = {
    'e2b-sandbox-id': sandboxId,
    'e2b-sandbox-port': String(envdPort),
    ...(accessToken === '' ? {} : { 'x-access-token': accessToken }),
  };
  const post = async (path: string, contentType: string, body: string | Blob): Promise<void> => {
    const response = await fetch(new URL(path, api.sandboxUrl(sandboxId, envdPort)), {
      method: 'POST',
      headers: { ...headers, 'content-type': contentType, 'connect-protocol-version': '1' },
      body,
      signal: AbortSignal.timeout(callTimeoutMs),
    });
    const text = await response.text();
    if (!response.ok) throw new ApiError(response.status, `The sandbox refused ${path.split('?')[0] ?? ''}: ${text}`);
  };
  // Connect's unary calls are JSON over POST; bytes are base64 there.
  const call = async (method: string, message: object): Promise<void> =>
    await post(`/process.Process/${method}`, 'application/json', JSON.stringify(message));
  return {
    async upload(path, content) {
      await post(`/files?${new URLSearchParams({ path }).toString()}`, 'application/octet-stream', content);
    },
    async sendInput(pid, bytes) {
      const stdin = Buffer.from(bytes).toString('base64');
      await call('SendInput', { process: { pid }, input: { stdin } });
    },
    async closeInput(pid) {
      await call('CloseStdin', { process: { pid } });
    },
  };
}
