import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FunctionSettings } from '@soulbox/contract/functions';
import { afterEach, expect, test } from 'vitest';
import type { Engine } from './engine.ts';
import { createOpenRequests } from './open-requests.ts';
import { watchEngine } from './watch-engine.ts';

// The engine is a real process, whose memory is read from the kernel.
const settings: FunctionSettings = {
  ...{ kind: 'edge', source: '', variables: {}, kvBindings: [], memoryMb: 64, maxBodyBytes: 1000 },
  ...{ requestTimeoutMs: 300, compatibilityDate: '2025-01-01', compatibilityFlags: [] },
};
const running: Engine[] = [];
afterEach(() => running.splice(0).forEach((engine) => engine.kill()));

async function startProcess(code: string, ping: Engine['ping']): Promise<Engine> {
  const child = spawn(process.execPath, ['-e', `console.log('up'); ${code}`], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  let gone = false;
  const engine: Engine = {
    ...{ pid: child.pid ?? 0, requests: '', ping, exited: once(child, 'exit').then(() => undefined) },
    get gone() {
      return gone;
    },
    ...createOpenRequests(() => engine.kill()),
    kill: () => {
      gone = true;
      child.kill('SIGKILL');
    },
  };
  running.push(engine);
  return engine;
}

interface Watching {
  readonly killed: string[];
  readonly replaced: Engine[];
  readonly watch: ReturnType<typeof watchEngine>;
}

/** `engine` serves; with `as` it has been retired instead. */
function watch(engine: Engine, as: 'serving' | 'retired' = 'serving'): Watching {
  const killed: string[] = [];
  const replaced: Engine[] = [];
  const kill = (_engine: Engine, why: string): void => {
    killed.push(why);
    engine.kill();
  };
  const other: Engine = { ...engine, pid: process.pid, ping: answers };
  const [serving, retired] = as === 'serving' ? [engine, undefined] : [other, engine];
  const replace = (which: Engine): void => void replaced.push(which);
  const watched = { engine: () => serving, retired: () => retired, settings: () => settings, replace, kill };
  return { killed, replaced, watch: watchEngine(watched) };
}

const answers = (): Promise<void> => Promise.resolve();
const isStuck = (): Promise<void> => new Promise(() => undefined);
/** Takes memory after a moment, so that the test can read its memory first. It keeps it until it is killed. */
const eats = (megabytes: number): string =>
  `let all = []; setTimeout(() => { for (let n = 0; n < ${megabytes}; n++) all.push(Buffer.alloc(1e6, 1)); }, 500); setInterval(() => all, 1000);`;

test('an engine above its limit is replaced, and not stopped, because it may hold garbage only', async () => {
  const engine = await startProcess(eats(150), answers);
  const watched = watch(engine);
  await watched.watch.begin(engine);
  using _open = watched.watch.enter();
  await expect.poll(() => watched.replaced.length, { timeout: 10_000 }).toBeGreaterThan(1);
  expect(new Set(watched.replaced)).toEqual(new Set([engine]));
  expect(watched.killed).toEqual([]);
});

test('a retired engine is stopped above the same bound, and not replaced', async () => {
  const engine = await startProcess(eats(300), answers);
  const watched = watch(engine, 'retired');
  await watched.watch.begin(engine);
  using _open = watched.watch.enter();
  await expect.poll(() => watched.killed, { timeout: 10_000 }).toHaveLength(1);
  expect(watched.replaced).toEqual([]);
});

test('a retired engine ends with its last open request', async () => {
  const engine = await startProcess('setInterval(() => undefined, 1000);', answers);
  const [first, second] = [engine.enter(), engine.enter()];
  engine.retire();
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  expect(engine.gone).toBe(false);
  second[Symbol.dispose]();
  await engine.exited;
});

test('code that uses far more memory than its limit is stopped while a request is open', async () => {
  const engine = await startProcess(eats(300), answers);
  const watched = watch(engine);
  await watched.watch.begin(engine);
  using _open = watched.watch.enter();
  await expect.poll(() => watched.killed, { timeout: 10_000 }).toHaveLength(1);
  expect(watched.killed[0]).toContain('more than 64 MB');
  await engine.exited;
});

test('code within its limit is left alone, and nothing is measured without a request', async () => {
  const engine = await startProcess('setInterval(() => undefined, 1000);', isStuck);
  const watched = watch(engine);
  await watched.watch.begin(engine);
  watched.watch.enter()[Symbol.dispose]();
  await sleep(1500);
  expect(watched.killed).toEqual([]);
});

test('a blocked event loop is stopped while a request is open', async () => {
  const engine = await startProcess('for (;;);', isStuck);
  const watched = watch(engine);
  await watched.watch.begin(engine);
  using _open = watched.watch.enter();
  await expect.poll(() => watched.killed, { timeout: 10_000 }).toHaveLength(1);
  expect(watched.killed[0]).toContain('blocked the CPU');
});

test('a suspected engine lives if it answers a ping; otherwise it is gone before the suspicion resolves', async () => {
  const alive = await startProcess('setInterval(() => undefined, 1000);', answers);
  const first = watch(alive);
  await first.watch.suspect();
  expect(first.killed).toEqual([]);
  const stuck = await startProcess('for (;;);', isStuck);
  const second = watch(stuck);
  await second.watch.suspect();
  expect(second.killed).toHaveLength(1);
  expect(stuck.gone).toBe(true);
});
