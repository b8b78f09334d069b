import type { Sandbox } from 'e2b';
import { expect } from 'vitest';
import { askApi } from '../harness/http.ts';
import { apiKey, apiUrl } from '../harness/server.ts';

export interface Runs {
  readonly run: (body: object, sandboxId?: string) => Promise<{ status: number; json: unknown }>;
  /** Runs code that the server accepts, and returns the result. */
  readonly result: (body: object, sandboxId?: string) => Promise<Line>;
  /** The lines of a streamed run. `onLine` gets each line as it arrives. */
  readonly stream: (body: object, options?: StreamOptions) => Promise<Line[]>;
}

type Line = Record<string, unknown>;

interface StreamOptions {
  readonly signal?: AbortSignal;
  readonly onLine?: (line: Line) => void;
}

/** Runs code through the API, in `sandbox` unless another one is named. */
export function runsIn(sandbox: () => Sandbox): Runs {
  const run: Runs['run'] = async (body, sandboxId = sandbox().sandboxId) =>
    await askApi('POST', `/sandboxes/${sandboxId}/run`, body);
  return {
    run,
    result: async (body, sandboxId) => {
      const { status, json } = await run(body, sandboxId);
      expect(status, JSON.stringify(json)).toBe(200);
      return json as Line;
    },
    stream: async (body, options = {}) => await stream(sandbox().sandboxId, body, options),
  };
}

async function stream(sandboxId: string, body: object, { signal, onLine }: StreamOptions): Promise<Line[]> {
  const response = await fetch(`${apiUrl}/sandboxes/${sandboxId}/run`, {
    method: 'POST',
    headers: { 'x-api-key': apiKey, 'content-type': 'application/json', accept: 'application/x-ndjson' },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
  expect(response.headers.get('content-type')).toMatch('application/x-ndjson');
  const lines: Line[] = [];
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of response.body ?? []) {
    rest += decoder.decode(bytes as Uint8Array, { stream: true });
    const complete = rest.split('\n');
    rest = complete.pop() ?? '';
    for (const text of complete) {
      const line = JSON.parse(text) as Line;
      lines.push(line);
      onLine?.(line);
    }
  }
  expect(rest).toBe('');
  return lines;
}
