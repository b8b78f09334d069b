import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@connectrpc/connect';
import { createLogger, silentLogger } from '@soulbox/base/logger';
import { EgressService } from '@soulbox/contract/egress';
import type { SandboxPolicy } from '@soulbox/contract/egress';
import { createSocketTransport, serveSocket } from '@soulbox/rpc';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createPolicyFeed } from './policy-feed.ts';
import type { PolicyFeed, PolicyMessage, SandboxUsage, UsageBook } from './policy-feed.ts';
import { addPolicyRoutes } from './serve-policies.ts';
import { watchPolicies } from './watch-policies.ts';

let folder: string;
let feed: PolicyFeed;
let server: AsyncDisposable;
const path = (): string => join(folder, 'runner.sock');

async function serve(book?: UsageBook): Promise<void> {
  feed = createPolicyFeed(silentLogger, book);
  const door = {
    name: 'egress',
    admits: () => true,
    routes: (router: Parameters<typeof addPolicyRoutes>[0]) => addPolicyRoutes(router, feed),
  };
  server = await serveSocket({ path: path(), doors: [door], mode: 0o600, logger: silentLogger });
}
const stop = async (): Promise<void> => {
  feed[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-policies-'));
  await serve();
});
afterEach(async () => {
  await stop();
  await rm(folder, { recursive: true });
});

const policy = (n: number, sandboxId = `s${n}`): PolicyMessage => ({
  ...{ address: `10.0.0.${n}`, sandboxId, teamId: 't' },
  policy: { allowOut: ['1.2.3.4'], denyOut: ['0.0.0.0/0'] },
});

/** What a watcher knows, as `address sandbox`. */
function watch(usages: SandboxUsage[] = []): {
  readonly known: () => string[];
  readonly replaced: () => number;
  readonly fed: Promise<void>;
} & Disposable {
  const table = new Map<string, SandboxPolicy>();
  let replaced = 0;
  const put = (policies: readonly SandboxPolicy[]): void => policies.forEach((one) => table.set(one.address, one));
  const watching = watchPolicies({
    transport: createSocketTransport(path()),
    taker: {
      replace(policies) {
        table.clear();
        put(policies);
        replaced += 1;
      },
      change(policies, removed) {
        for (const address of removed) table.delete(address);
        put(policies);
      },
      takeUsages: () => usages.splice(0),
    },
    reportMs: 20,
    logger: silentLogger,
  });
  return {
    known: () => [...table.values()].map(({ address, sandboxId }) => `${address} ${sandboxId}`).sort(),
    replaced: () => replaced,
    fed: watching.fed,
    [Symbol.dispose]: () => watching[Symbol.dispose](),
  };
}

test('the first table is complete, also in several messages, and each change is known when the call returns', async () => {
  for (let n = 1; n <= 250; n += 1) await feed.put(policy(n));
  using watcher = watch();
  await watcher.fed;
  expect(watcher.known()).toHaveLength(250);
  await feed.put(policy(1, 'next'));
  await feed.remove('10.0.0.2');
  await feed.remove('10.0.0.2');
  expect(watcher.known()).toContain('10.0.0.1 next');
  expect(watcher.known()).toHaveLength(249);
  await Promise.all(Array.from({ length: 100 }, async (_, n) => await feed.put(policy(n + 1, 'again'))));
  expect(watcher.known().filter((one) => one.endsWith('again'))).toHaveLength(100);
});

test('without a watcher no call waits', async () => {
  const startedAt = performance.now();
  await feed.put(policy(1));
  await feed.remove('10.0.0.1');
  expect(performance.now() - startedAt).toBeLessThan(500);
});

test('a watcher that does not confirm delays a change for a second, and the log says so', async () => {
  const file = join(folder, 'log');
  using own = createPolicyFeed(createLogger({ level: 'warn', file }));
  const stream = own.watch(new AbortController().signal);
  await stream.next();
  const startedAt = performance.now();
  await own.put(policy(1));
  expect(performance.now() - startedAt).toBeGreaterThan(900);
  expect(performance.now() - startedAt).toBeLessThan(3000);
  await vi.waitFor(async () => expect(await readFile(file, 'utf8')).toContain('did not confirm a policy in time'));
});

test('a watcher follows the next runner, and forgets what that one does not have', async () => {
  await feed.put(policy(1));
  await feed.put(policy(2));
  using watcher = watch();
  await watcher.fed;
  await stop();
  expect(watcher.known()).toHaveLength(2);
  await serve();
  await feed.put(policy(2, 'other'));
  await vi.waitFor(() => expect(watcher.known()).toEqual(['10.0.0.2 other']), { timeout: 5000 });
});

test('a second watcher replaces the first, which asks again', async () => {
  using first = watch();
  await first.fed;
  const before = first.replaced();
  const stream = feed.watch(new AbortController().signal);
  expect((await stream.next()).value).toMatchObject({ isWhole: true });
  await stream.return(undefined);
  await vi.waitFor(() => expect(first.replaced()).toBeGreaterThan(before), { timeout: 5000 });
});

test('an address is not given to another sandbox while a living watcher may know the earlier one', async () => {
  using own = createPolicyFeed(silentLogger);
  await own.put(policy(1));
  const stream = own.watch(new AbortController().signal);
  await stream.next();
  await own.remove('10.0.0.1');
  await expect(own.put(policy(1, 'next'))).rejects.toMatchObject({ reason: 'host_not_ready' });
  // Other addresses do not wait for it.
  await own.put(policy(2));
  // The table of a new watcher says all that is true now.
  const again = own.watch(new AbortController().signal);
  const { position = 0n } = ((await again.next()) as { value: { position?: bigint } }).value;
  own.confirm(position);
  await own.put(policy(1, 'next'));
}, 20_000);

/** A book that keeps everything, in the order in which it came. */
function createBook(): UsageBook & { readonly written: SandboxUsage[]; fails: boolean } {
  const written: SandboxUsage[] = [];
  const book = {
    ...{ written, fails: false },
    read: (ids: readonly string[]) => new Map(ids.map((id) => [id, 1000 * Number(id.slice(1))])),
    write(usages: readonly SandboxUsage[]) {
      if (book.fails) throw new Error('not now');
      written.push(...usages);
    },
  };
  return book;
}

test('counts come with a confirmation and by themselves, and again if they were not received', async () => {
  const book = createBook();
  await stop();
  await serve(book);
  await feed.put(policy(1));
  const usages: SandboxUsage[] = [];
  using watcher = watch(usages);
  await watcher.fed;
  const usage = (bytes: number): SandboxUsage => ({ sandboxId: 's1', generation: 'g', bytes });
  usages.push(usage(5));
  await feed.remove('10.0.0.1');
  // The last count of a sandbox is known when its removal is.
  expect(book.written).toEqual([usage(5)]);
  usages.push(usage(6));
  await vi.waitFor(() => expect(book.written).toHaveLength(2));
  book.fails = true;
  usages.push(usage(7));
  await vi.waitFor(() => expect(usages).toEqual([]));
  book.fails = false;
  await vi.waitFor(() => expect(book.written.at(-1)).toEqual(usage(7)));
});

test('a process that starts later is told what was used by then, not what was used when the policy was set', async () => {
  const used = new Map([['s1', 10]]);
  const book: UsageBook = { read: () => used, write: () => undefined };
  using own = createPolicyFeed(silentLogger, book);
  await own.put(policy(1));
  used.set('s1', 20);
  const stream = own.watch(new AbortController().signal);
  expect((await stream.next()).value).toMatchObject({ policies: [{ sandboxId: 's1', usedBytes: 20n }] });
});

test('a count that no sandbox can have does not keep the policies from the next process', async () => {
  const used = new Map<string, number>();
  await stop();
  await serve({
    read: () => used,
    write: (usages) => usages.forEach(({ sandboxId, bytes }) => used.set(sandboxId, bytes)),
  });
  await feed.put(policy(1));
  const client = createClient(EgressService, createSocketTransport(path()));
  const usages = [{ sandboxId: 's1', generation: 'g', bytes: 2n ** 64n - 1n }];
  await client.confirmPolicies({ position: 0n, usages });
  expect(used.get('s1')).toBe(Number.MAX_SAFE_INTEGER);
  using watcher = watch();
  await watcher.fed;
  expect(watcher.known()).toEqual(['10.0.0.1 s1']);
});

test.each([2 ** 64, -1, 0.5, NaN, Infinity])('a recorded count of %s is sent as one that is valid', async (bytes) => {
  await stop();
  await serve({ read: () => new Map([['s1', bytes]]), write: () => undefined });
  await feed.put(policy(1));
  using watcher = watch();
  await watcher.fed;
  expect(watcher.known()).toEqual(['10.0.0.1 s1']);
});

test('of the counts of one call, no more are taken than a host has room for', async () => {
  let taken = 0;
  await stop();
  await serve({ read: () => new Map(), write: (usages) => void (taken += usages.length) });
  const client = createClient(EgressService, createSocketTransport(path()));
  const usages = Array.from({ length: 10_001 }, (_, n) => ({ sandboxId: `s${n}`, generation: 'g', bytes: 1n }));
  await client.confirmPolicies({ position: 0n, usages });
  expect(taken).toBe(10_000);
});
