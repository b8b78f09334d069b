import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditedRoutes } from '../http/audited-routes.ts';
import { buildTemplate } from '../testing/build-template.ts';
import { isDone, keyed, later } from '../testing/route-lists.ts';
import { sampleOf } from '../testing/route-samples.ts';
import { createScriptedFunctions } from '../testing/scripted-functions.ts';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

/** Every route of the table with a valid request, while the audit log of the team is full. */
let api: TestApi;
beforeAll(async () => {
  const own = { id: '' };
  api = await startTestApi({
    config: {
      ...{ auditLogMb: 1, keyRequestRate: 0, addressRequestRate: 0, webhookAllowPrivate: ['127.0.0.1'] },
      ...{ teamSandboxLimit: 100_000, teamSnapshotLimit: 100_000, teamTemplateLimit: 100_000, teamBuildLimit: 1000 },
    },
    functions: createScriptedFunctions(() => own.id),
  });
  own.id = api.teamId;
  await buildTemplate(api, 'extra');
});
afterAll(() => api[Symbol.asyncDispose]());

/** Beyond the limit, and within what kills and outcomes may use. */
const fullBytes = 2 * 1024 * 1024;

async function askWithFullLog(route: string) {
  const sample = await sampleOf(api, route, { isReal: true });
  // The number of bytes in use is what the limit is compared with.
  await api.records.audit.release(api.teamId, -fullBytes);
  try {
    return await api.ask(sample.method, sample.path, { body: sample.body });
  } finally {
    await api.records.audit.release(api.teamId, fullBytes);
  }
}

const routes = keyed.map(([route]) => route).filter((route) => !later.test(route));
const by = (...ways: string[]): string[] => routes.filter((route) => ways.includes(auditedRoutes[route]?.how ?? ''));

describe('with a full audit log', () => {
  test.each(by('effect', 'record'))('%s is refused', async (route) => {
    const { status, text } = await askWithFullLog(route);
    expect(status, text).toBe(503);
    expect(text).toContain('The audit log of the team is full');
  });

  test.each(by('always'))('%s is done', async (route) => {
    const { status, text } = await askWithFullLog(route);
    expect(isDone(status), text).toBe(true);
  });

  test.each(by('read', 'none').filter((route) => route.startsWith('GET ')))('%s still reads', async (route) => {
    const { status } = await askWithFullLog(route);
    expect(status).not.toBe(503);
  });

  test('health is told', async () => {
    await api.records.audit.release(api.teamId, -fullBytes);
    expect((await api.ask('GET', '/health', { key: null })).status).toBe(204);
    await api.records.audit.release(api.teamId, fullBytes);
  });
});
