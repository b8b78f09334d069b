import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

interface Operation {
  readonly summary?: string;
  readonly security?: unknown[];
  readonly responses: Record<string, { content?: Record<string, { schema: { $ref?: string } }> }>;
  readonly 'x-soulbox-not-available'?: boolean;
}

let api: TestApi;
let document: {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, { properties?: Record<string, { default?: unknown }>; required?: string[] }> };
};
beforeAll(async () => {
  api = await startTestApi();
  document = (await api.ask('GET', '/openapi.json', { key: null })).json as typeof document;
});
afterAll(() => api[Symbol.asyncDispose]());

const operations = (): [string, Operation][] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [`${method} ${path}`, operation]),
  );

describe('the OpenAPI document', () => {
  it('has version 3.1 and no dangling reference', () => {
    expect(document.openapi).toBe('3.1.0');
    const names = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map((match) => match[1]);
    expect(names.length).toBeGreaterThan(50);
    for (const name of names) expect(Object.keys(document.components.schemas)).toContain(name);
  });

  it('has a summary for every operation, and an error form for every one that can fail', () => {
    for (const [name, operation] of operations()) {
      expect([name, typeof operation.summary]).toEqual([name, 'string']);
      const errors = Object.entries(operation.responses).filter(([status]) => Number(status) >= 400);
      if (name !== 'get /health') expect([name, errors.length > 0]).toEqual([name, true]);
      for (const [status, { content }] of errors)
        expect([name, status, content?.['application/json']?.schema.$ref]).toEqual([
          name,
          status,
          name.includes('/volumecontent/') ? '#/components/schemas/NamedError' : '#/components/schemas/Error',
        ]);
    }
  });

  it('marks exactly the operations that are not available yet', () => {
    const marked = operations().filter(([, operation]) => operation['x-soulbox-not-available'] === true);
    expect(marked.map(([name]) => name)).toEqual(
      expect.arrayContaining(['post /templates/{templateID}', 'get /teams/{teamID}/metrics/max']),
    );
    for (const [name, operation] of operations())
      expect([
        name,
        '501' in operation.responses && !Object.keys(operation.responses).some((code) => code.startsWith('2')),
      ]).toEqual([name, operation['x-soulbox-not-available'] === true]);
  });

  it('shows the different defaults of the two creates', () => {
    const { NewSandboxInput: old, NewSandboxV2Input: v2 } = document.components.schemas;
    expect([old?.properties?.['timeout']?.default, v2?.properties?.['timeout']?.default]).toEqual([15, 300]);
    expect([old?.required, v2?.required]).toEqual([['templateID'], ['templateID']]);
    expect([old?.properties?.['secure']?.default, v2?.properties?.['secure']]).toEqual([false, undefined]);
  });

  it('matches the API: each marked operation gives 501 with its name', async () => {
    for (const [name, operation] of operations()) {
      if (operation['x-soulbox-not-available'] !== true) continue;
      const [method = '', path = ''] = name.split(' ');
      const answer = await api.ask(method.toUpperCase(), path.replaceAll(/\{\w+\}/g, 'ix'));
      expect([name, answer.json]).toEqual([
        name,
        { code: 501, message: expect.stringMatching(/ is not available in this version of SoulBox\.$/) as string },
      ]);
    }
  });
});
