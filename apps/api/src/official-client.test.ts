import { AuthenticationError, RateLimitError, Sandbox, SandboxNotFoundError, Template } from 'e2b';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { metric } from './testing/observed.ts';
import { startTestApi } from './testing/test-api.ts';
import type { TestApi } from './testing/test-api.ts';

let api: TestApi;
let options: { apiKey: string; apiUrl: string; domain: string };
beforeEach(async () => {
  api = await startTestApi({ config: { teamSandboxLimit: 5 } });
  options = { apiKey: api.key, apiUrl: api.url, domain: 'sandbox.test' };
});
afterEach(() => api[Symbol.asyncDispose]());

/** These versions still create and connect through the first version of the routes, and send `secure` themselves. */
describe.each(['e2b-2.45', 'e2b-2.14'])('the older client %s', (name) => {
  it('creates, shows, lists, extends, reconnects to and kills a sandbox', async () => {
    const { Sandbox: OldSandbox } = (await import(name)) as { Sandbox: typeof Sandbox };
    const sandbox = await OldSandbox.create('base', { ...options, metadata: { a: 'b' } });
    expect(api.runner.creates[0]).toMatchObject({ timeoutSeconds: 300, secure: true });
    expect(await sandbox.getInfo()).toMatchObject({ sandboxId: sandbox.sandboxId, metadata: { a: 'b' } });
    const page = await OldSandbox.list({ ...options, query: { metadata: { a: 'b' } } }).nextItems();
    expect(page).toHaveLength(1);
    await sandbox.setTimeout(10_000);
    expect((await OldSandbox.connect(sandbox.sandboxId, options)).sandboxId).toBe(sandbox.sandboxId);
    expect(await OldSandbox.kill(sandbox.sandboxId, options)).toBe(true);
    expect(await OldSandbox.kill(sandbox.sandboxId, options)).toBe(false);
  });
});

describe.each(['e2b-2.45'])('the older client %s', (name) => {
  it('pauses, finds paused ones, connects, snapshots and forks', async () => {
    const { Sandbox: OldSandbox } = (await import(name)) as { Sandbox: typeof Sandbox };
    const sandbox = await OldSandbox.create('base', options);
    expect(await OldSandbox.pause(sandbox.sandboxId, options)).toBe(true);
    expect(await OldSandbox.pause(sandbox.sandboxId, options)).toBe(false);
    expect(await sandbox.getInfo()).toMatchObject({ state: 'paused' });
    const back = await OldSandbox.connect(sandbox.sandboxId, { ...options, timeoutMs: 60_000 });
    expect(await back.getInfo()).toMatchObject({ state: 'running' });
    const { snapshotId } = await back.createSnapshot();
    expect((await OldSandbox.create(snapshotId, options)).sandboxId).not.toBe(sandbox.sandboxId);
    expect(await OldSandbox.deleteSnapshot(snapshotId, options)).toBe(true);
    expect(await back.fork({ count: 2 })).toHaveLength(2);
  });
});

describe('the unmodified e2b client', () => {
  it('creates, shows, lists, extends, reconnects to and kills a sandbox', async () => {
    const metadata = { 'user id': 'a&b=c %', plan: 'pro' };
    const sandbox = await Sandbox.create('base', { ...options, metadata, timeoutMs: 60_000 });
    expect(sandbox.sandboxId).toMatch(/^i[a-z0-9]{20}$/);
    expect(sandbox.getHost(3000)).toBe(`3000-${sandbox.sandboxId}.sandbox.test`);

    const info = await Sandbox.getInfo(sandbox.sandboxId, options);
    expect(info).toMatchObject({
      sandboxId: sandbox.sandboxId,
      name: 'base',
      state: 'running',
      metadata,
      memoryMB: 1024,
    });

    const page = await Sandbox.list({ ...options, query: { metadata, state: ['running', 'paused'] } }).nextItems();
    expect(page.map((entry) => entry.sandboxId)).toEqual([sandbox.sandboxId]);
    const none = await Sandbox.list({ ...options, query: { metadata: { plan: 'free' } } }).nextItems();
    expect(none).toEqual([]);

    await sandbox.setTimeout(300_000);
    const extended = await sandbox.getInfo();
    expect(extended.endAt.getTime() - Date.now()).toBeGreaterThan(290_000);
    const again = await Sandbox.connect(sandbox.sandboxId, options);
    expect(again.sandboxId).toBe(sandbox.sandboxId);

    api.runner.metrics.set(sandbox.sandboxId, [metric(Date.now(), 42)]);
    expect(await sandbox.getMetrics()).toMatchObject([{ cpuUsedPct: 42, memUsed: 1000 }]);

    expect(await sandbox.kill()).toBe(true);
    expect(await sandbox.kill()).toBe(false);
    await expect(Sandbox.getInfo(sandbox.sandboxId, options)).rejects.toBeInstanceOf(SandboxNotFoundError);
    await expect(Sandbox.connect(sandbox.sandboxId, options)).rejects.toBeInstanceOf(SandboxNotFoundError);
  });

  it('pauses once, lists by state, and connects again, with or without memory', async () => {
    const lifecycle = { onTimeout: 'pause', autoResume: true } as const;
    const sandbox = await Sandbox.create('base', { ...options, lifecycle });
    const { sandboxId } = sandbox;
    expect(await sandbox.pause()).toBe(true);
    expect(await sandbox.pause()).toBe(false);
    expect(await sandbox.getInfo()).toMatchObject({
      state: 'paused',
      lifecycle: { onTimeout: 'pause', autoResume: true },
    });
    const idsIn = async (...state: ('running' | 'paused')[]) =>
      (await Sandbox.list({ ...options, query: { state } }).nextItems()).map((entry) => entry.sandboxId);
    expect(await idsIn('paused')).toEqual([sandboxId]);
    expect(await idsIn('running')).toEqual([]);

    expect((await Sandbox.connect(sandboxId, options)).sandboxId).toBe(sandboxId);
    expect(await idsIn('running')).toEqual([sandboxId]);
    await sandbox.pause({ keepMemory: false });
    expect(api.runner.stateRequests.at(-1)?.request).toMatchObject({ keepMemory: false });
    await sandbox.connect({ timeoutMs: 5000 });
    expect(api.runner.stateRequests.at(-1)?.request).toMatchObject({ timeoutSeconds: 5, withMemory: true });
    expect(await sandbox.kill()).toBe(true);
    await expect(Sandbox.pause(sandboxId, options)).rejects.toBeInstanceOf(SandboxNotFoundError);
  });

  it('creates, lists, uses and deletes snapshots', async () => {
    const sandbox = await Sandbox.create('base', options);
    const unnamed = await sandbox.createSnapshot();
    const named = await sandbox.createSnapshot({ name: 'my-snapshot:v2' });
    expect(unnamed.names).toEqual([]);
    expect(named).toEqual({ snapshotId: 'default/my-snapshot:v2', names: ['default/my-snapshot:v2'] });
    const paginator = Sandbox.listSnapshots({ ...options, limit: 1 });
    const seen: string[] = [];
    while (paginator.hasNext) seen.push(...(await paginator.nextItems()).map((entry) => entry.snapshotId));
    expect(seen.sort()).toEqual([named.snapshotId, unnamed.snapshotId].sort());
    expect(await sandbox.listSnapshots().nextItems()).toHaveLength(2);
    expect(await Sandbox.listSnapshots({ ...options, name: 'my-snapshot' }).nextItems()).toEqual([named]);

    await sandbox.kill();
    for (const { snapshotId } of [unnamed, named]) {
      await Sandbox.create(snapshotId, options);
      expect(await Sandbox.deleteSnapshot(snapshotId, options)).toBe(true);
      expect(await Sandbox.deleteSnapshot(snapshotId, options)).toBe(false);
    }
    await expect(sandbox.createSnapshot()).rejects.toBeInstanceOf(SandboxNotFoundError);
  });

  it('forks, with an error in the place of a failed copy', async () => {
    const sandbox = await Sandbox.create('base', options);
    api.runner.failingForks = 1;
    const [copy, failed] = await sandbox.fork({ count: 2, timeoutMs: 60_000 });
    if (!(copy instanceof Sandbox)) throw new Error('no copy');
    expect(copy.sandboxId).not.toBe(sandbox.sandboxId);
    expect(await copy.getInfo()).toMatchObject({ state: 'running' });
    expect(failed).toBeInstanceOf(Error);
    await expect(sandbox.fork({ count: 101 })).rejects.toThrow('400');
    await sandbox.kill();
    await expect(sandbox.fork()).rejects.toBeInstanceOf(SandboxNotFoundError);
  });

  it('reads all pages', async () => {
    const made = await Promise.all(Array.from({ length: 5 }, () => Sandbox.create('base', options)));
    const paginator = Sandbox.list({ ...options, limit: 2 });
    const seen: string[] = [];
    while (paginator.hasNext) seen.push(...(await paginator.nextItems()).map((entry) => entry.sandboxId));
    expect(seen.sort()).toEqual(made.map((sandbox) => sandbox.sandboxId).sort());
  });

  it('gets a wrong key, a full team and an unknown template as its own error classes', async () => {
    await expect(Sandbox.create('base', { ...options, apiKey: 'e2b_00' })).rejects.toBeInstanceOf(AuthenticationError);
    await expect(Sandbox.create('nope', options)).rejects.toThrow('404: Template "nope" was not found.');
    await Promise.all(Array.from({ length: 5 }, () => Sandbox.create('base', options)));
    await expect(Sandbox.create('base', { ...options, retries: 0 })).rejects.toBeInstanceOf(RateLimitError);
  });

  it('changes the network policy of a running sandbox', async () => {
    const sandbox = await Sandbox.create('base', options);
    await sandbox.updateNetwork({ allowOut: ['a.test'], denyOut: ['0.0.0.0/0'] });
    await sandbox.updateNetwork({ allowInternetAccess: false });
    const { allowOut, denyOut, allowInternetAccess } = api.runner.policies.at(0) ?? {};
    expect([allowOut, denyOut, allowInternetAccess]).toEqual([['a.test'], ['0.0.0.0/0'], undefined]);
    expect(api.runner.policies.at(1)).toMatchObject({ allowOut: [], denyOut: [], allowInternetAccess: false });
    await expect(sandbox.updateNetwork({ allowOut: ['a.test'] })).rejects.toThrow('add 0.0.0.0/0 to denyOut');
  });

  it('finds out whether a template exists', async () => {
    expect(await Template.exists('base', options)).toBe(true);
    expect(await Template.exists('nope', options)).toBe(false);
  });
});
