import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { logEntry, metric } from './testing/observed.ts';
import { startTestApi } from './testing/test-api.ts';
import type { TestApi } from './testing/test-api.ts';

const cli = join(import.meta.dirname, '../../../node_modules/@e2b/cli/dist/index.js');
let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

async function run(...args: string[]): Promise<string> {
  const env = { ...process.env, E2B_API_KEY: api.key, E2B_API_URL: api.url, NO_UPDATE_NOTIFIER: '1', NO_COLOR: '1' };
  const { stdout } = await promisify(execFile)(process.execPath, [cli, ...args], { env, timeout: 20_000 });
  return stdout;
}

describe('the unmodified CLI', () => {
  it('creates, lists and shows sandboxes, prints their logs and metrics, and kills them', async () => {
    await run('sandbox', 'create', 'base', '-d');
    const [id = ''] = [...api.runner.sandboxes.keys()];
    expect(await run('sandbox', 'list')).toContain(id);
    expect(JSON.parse(await run('sandbox', 'list', '--format', 'json'))).toMatchObject([{ sandboxId: id }]);
    expect(await run('sandbox', 'info', id)).toContain(id);

    api.runner.logs.set(id, [logEntry(Date.now(), 'warn', 'something happened', { pid: '7' })]);
    expect(await run('sandbox', 'logs', id)).toContain('something happened');
    api.runner.metrics.set(id, [metric(Date.now() + 5, 42)]);
    expect(await run('sandbox', 'metrics', id)).toContain('42');

    expect(await run('sandbox', 'kill', id)).toContain('killed');
    expect(api.runner.sandboxes.size).toBe(0);
  }, 60_000);

  it('pauses and resumes a sandbox, and lists by state', async () => {
    await run('sandbox', 'create', 'base', '-d', '--lifecycle.ontimeout', 'pause', '--lifecycle.autoresume');
    const [id = ''] = [...api.runner.sandboxes.keys()];
    expect(api.runner.creates[0]?.lifecycle).toMatchObject({ pauseOnTimeout: true, autoResume: true });
    await run('sandbox', 'pause', id);
    expect(await run('sandbox', 'list')).not.toContain(id);
    expect(await run('sandbox', 'list', '--state', 'paused')).toContain(id);
    expect(await run('sandbox', 'info', id)).toMatch(/paused/i);
    await run('sandbox', 'resume', id);
    expect(await run('sandbox', 'list', '--state', 'running')).toContain(id);
  }, 60_000);

  it('makes, lists and deletes snapshots', async () => {
    await run('sandbox', 'create', 'base', '-d');
    const [id = ''] = [...api.runner.sandboxes.keys()];
    expect(await run('sandbox', 'snapshot', 'create', id)).toMatch(/s[a-z0-9]{20}:default/);
    expect(await run('sandbox', 'snapshot', 'create', id, '--name', 'mine')).toContain('default/mine:default');
    expect(await run('sandbox', 'snapshot', 'list')).toContain('default/mine:default');
    await run('sandbox', 'snapshot', 'delete', 'default/mine:default');
    expect(await run('sandbox', 'snapshot', 'list')).not.toContain('mine');
  }, 60_000);

  it('lists templates', async () => {
    const listed = await run('template', 'list');
    expect(listed).toContain('tbase');
    expect(listed).toContain('base');
  });
});
