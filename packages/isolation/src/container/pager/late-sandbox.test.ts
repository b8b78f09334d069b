// Late memory in real sandboxes: what programs do and which processes die before all memory is loaded.
import { spawn } from 'node:child_process';
import { cp, open, readFile, rename, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning, randomId } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { expect, test, vi } from 'vitest';
import { hostTraces } from '../../conformance/host-traces.ts';
import { freezeInto, pause, stopAndSave } from '../../conformance/saved-sandboxes.ts';
import { createArrivalFile } from '../../host/arrival.ts';
import type { ArrivalFile } from '../../host/arrival.ts';
import { openPreparedBench } from '../../conformance/prepared-bench.ts';
import type { TestSandbox } from '../../conformance/test-sandbox.ts';
import { usualLimits } from '../../conformance/test-sandbox.ts';
import type { SandboxInstance, SandboxSpec, SavedMemory } from '../../driver.ts';
import { criu } from '../testing/test-criu.ts';
import { createContainerDriver } from '../driver.ts';
import { layoutOf } from '../layout.ts';
import { testInstance } from '../testing/test-instance.ts';
import { pagerState } from './pagers.ts';
import { findPagerRecord } from './record.ts';
import type { PagerRecord } from './record.ts';

const mib = 2 ** 20;
const pagesPerMib = mib / 4096;
const timeout = 120_000;
/** The program notices from a gap of a second that it was paused. */
const pauseMs = 1_200;
const newDriver = (): ReturnType<typeof createContainerDriver> =>
  createContainerDriver({ logger: silentLogger, instance: testInstance, criu });
const driver = newDriver();
const startProgram = fileURLToPath(new URL('../testing/start-program.ts', import.meta.url));
const bench = await openPreparedBench({ driver, instanceNumber: testInstance, firstNumber: 700, lateMemory: true });

/** A sandbox with a program that has `sizeMib` of memory and runs `task` as soon as it is restored. */
async function startHolder(sizeMib: number, task: string, memoryMb = sizeMib + 200): Promise<TestSandbox> {
  const sandbox = await bench.start({ limits: { ...usualLimits, memoryMb } });
  const program = await readFile(new URL('../testing/late-program.py', import.meta.url), 'utf8');
  for (const [path, text] of [
    ['/program.py', program],
    ['/task', task],
  ] as const)
    // prettier-ignore
    await sandbox.sh(`cat > ${path} << 'END'\n${text}\nEND`);
  await sandbox.sh(`setsid python3 /program.py ${sizeMib * pagesPerMib} > /program.log 2>&1 &`);
  await sandbox.sh('for i in $(seq 600); do [ -e /ready ] && break; sleep 0.05; done; ls /ready');
  return sandbox;
}

const answerOf = async (sandbox: TestSandbox): Promise<string> =>
  (await sandbox.sh('for i in $(seq 600); do [ -e /answer ] && break; sleep 0.05; done; cat /answer /program.log'))
    .stdout;

interface Saved {
  readonly spec: SandboxSpec;
  readonly memory: SavedMemory;
}

/** Saves and suspends the sandbox, so that it can be restored in place. */
async function save({ spec, instance }: TestSandbox): Promise<Saved> {
  const memory = await stopAndSave(bench, instance);
  await driver.suspend(spec.sandboxId, spec.directory);
  await sleep(pauseMs);
  return { memory, spec: { ...spec, disk: 'kept', generation: randomId(20) } };
}

const workOf = ({ sandboxId, directory }: SandboxSpec): string => layoutOf(testInstance, sandboxId, directory).restore;

const readAll = 'answer = isRight(0, count)';

const tasks: Record<string, readonly [string, string]> = {
  'reads all of it from the end': ['answer = all(isRight(i, i + 1) for i in range(count - 1, -1, -1))', 'True'],
  'reads it from many threads': [
    `wrong = []
def look(first):
    for i in range(first, count, 7):
        if not isRight(i, i + 1): wrong.append(i)
threads = [threading.Thread(target=look, args=(n,)) for n in range(7)]
for t in threads: t.start()
for t in threads: t.join()
answer = wrong`,
    '[]',
  ],
  'forks: parent and children see the same and write apart': [
    `pids = []
for n in range(3):
    pid = os.fork()
    if pid == 0:
        ctypes.memset(start + n * pageBytes, 255, pageBytes)
        os._exit(0 if isRight(3, count) and ctypes.string_at(start + n * pageBytes, 1) == b'\\xff' else 1)
    pids.append(pid)
answer = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] + [isRight(0, count)]`,
    '[0, 0, 0, True]',
  ],
  'moves, unmaps and gives back parts of it': [
    `part = count // 8
size = ctypes.c_size_t(part * pageBytes)
room = libc.mmap(None, size, 3, 0x22, -1, ctypes.c_long(0))
moved = libc.mremap(address(6 * part), size, size, 3, ctypes.c_void_p(room))
given = libc.madvise(address(5 * part), size, 4)
gone = libc.munmap(address(4 * part), size)
new = libc.mmap(address(4 * part), size, 3, 0x32, -1, ctypes.c_long(0))
answer = [isRight(6 * part, 7 * part, moved), given, isZero(start + 5 * part * pageBytes, part), gone,
          isZero(new, part), isRight(0, 4 * part), isRight(7 * part, 8 * part)]`,
    '[True, 0, True, 0, True, True, True]',
  ],
};

const unchanged = Object.entries(tasks).map(([name, task]) => ({ name, task }));
// One of them in CI.
test.each(unchanged.slice(0, 1))('a program that $name finds its memory unchanged', { timeout }, findsUnchanged);
test.each(unchanged.slice(1))(
  'a program that $name finds its memory unchanged',
  { timeout, tags: ['long'] },
  findsUnchanged,
);

async function findsUnchanged({ task: [text, expected] }: (typeof unchanged)[number]): Promise<void> {
  await using sandbox = await pause(bench, await startHolder(192, text, 1_000), pauseMs);
  expect(await answerOf(sandbox)).toBe(expected);
  await vi.waitUntil(() => pagerState(workOf(sandbox.spec)) === 'complete', { timeout: 10_000 });
}

test('a sandbox close to its memory limit gets all its memory back', { tags: ['long'], timeout }, async () => {
  await using sandbox = await pause(bench, await startHolder(192, readAll, 240), pauseMs);
  expect(await answerOf(sandbox)).toBe('True');
});

test('several sandboxes read one image at once', { tags: ['long'], timeout }, async () => {
  const { memory, layer } = await freezeInto(bench, await startHolder(128, readAll));
  await sleep(pauseMs);
  const limits = { ...usualLimits, memoryMb: 328 };
  const specs = await Promise.all([1, 2, 3].map(() => bench.createSpec({ layers: [layer], limits })));
  const copies = await Promise.all(specs.map((spec) => bench.restore(memory, spec)));
  expect(await Promise.all(copies.map(answerOf))).toEqual(['True', 'True', 'True']);
  for (const copy of copies) await copy[Symbol.asyncDispose]();
  expect(await hostTraces(...specs)).toEqual([]);
});

/** Saves the sandbox again, whose memory arrives only meanwhile. */
async function saveWhileLoading(
  saved: Saved,
  arriving: Arriving,
  instance: SandboxInstance,
  next = driver,
): Promise<SavedMemory> {
  expect(pagerState(workOf(saved.spec))).toBe('loading');
  const saving = stopAndSave({ ...bench, driver: next }, instance);
  await sleep(200);
  expect(await arriving.bring('all')).toBeGreaterThan(0);
  const memory = await saving;
  await next.suspend(saved.spec.sandboxId, saved.spec.directory);
  return memory;
}

test('a sandbox that is paused again before all its memory is loaded loses nothing', { timeout }, async () => {
  const saved = await save(await startHolder(192, `time.sleep(4)\n${readAll}`));
  await using arriving = await emptied(saved);
  const instance = await driver.restore(saved.spec, arriving.memory);
  const memory = await saveWhileLoading(saved, arriving, instance);
  await using sandbox = await bench.restore(memory, saved.spec);
  expect(await answerOf(sandbox)).toBe('True');
});

test('a sandbox continues when the server dies meanwhile, and the next server can save it', { timeout }, async () => {
  const saved = await save(await startHolder(192, `time.sleep(4)\n${readAll}`));
  await using arriving = await emptied(saved);
  const server = spawn(process.execPath, [startProgram, JSON.stringify(saved.spec), JSON.stringify(arriving.memory)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  // Before that, the next server would not adopt the sandbox: its record says that a step is not complete.
  for await (const line of createInterface({ input: server.stdout })) if (line === 'done') break;
  server.kill('SIGKILL');
  await ended;
  const next = newDriver();
  const instance = await next.adopt(saved.spec.sandboxId, saved.spec.directory);
  if (instance === undefined) throw new Error('The sandbox has ended with its server.');
  const memory = await saveWhileLoading(saved, arriving, instance, next);
  await using sandbox = await bench.restore(memory, saved.spec);
  expect(await answerOf(sandbox)).toBe('True');
});

/** A program that writes to /wrong when it sees a page with unexpected content. */
const watch = `
for i in range(count - 1, -1, -1):
    if not isRight(i, i + 1): open('/wrong', 'w').close()`;

async function expectEnded({ spec, memory }: Saved, why: 'damaged' | 'interrupted'): Promise<void> {
  const { sandboxId, directory } = spec;
  await vi.waitUntil(() => pagerState(workOf(spec)) !== 'loading', { timeout: 10_000 });
  expect(await driver.whyEnded(sandboxId, directory)).toBe(why);
  expect(await driver.adopt(sandboxId, directory)).toBeUndefined();
  await driver.suspend(sandboxId, directory);
  expect(await hostTraces(spec)).toEqual([]);
  expect(memory.directory).toBeTruthy();
}

async function expectNothingWrong(saved: Saved): Promise<void> {
  await using again = await bench.restore(saved.memory, saved.spec);
  expect((await again.sh('ls /wrong')).stdout).toBe('');
}

function loadingPager({ spec }: Saved): PagerRecord & { state: 'loading' } {
  const record = findPagerRecord(workOf(spec));
  if (record?.state !== 'loading') throw new Error('All memory is loaded.');
  return record;
}

test.each(['worker', 'guard', 'sharer'] as const)(
  'when the %s of its pager is killed, a sandbox is ended before it reads zeros, and its checkpoint can be used again',
  { timeout },
  async (part) => {
    const saved = await save(await startHolder(192, watch));
    await using arriving = await emptied(saved, 0.5);
    await driver.restore(saved.spec, arriving.memory);
    process.kill(loadingPager(saved)[part].pid, 'SIGKILL');
    await expectEnded(saved, 'interrupted');
    await arriving.bring('all');
    await expectNothingWrong(saved);
  },
);

test('a sandbox is ended before it reads a page of an altered block', { timeout }, async () => {
  const saved = await save(await startHolder(192, watch));
  const pages = pagesOf(saved);
  const whole = `${pages}-whole`;
  await cp(pages, whole, { recursive: true });
  const [name = ''] =
    Object.entries(saved.memory.digests.parts).sort(([, one], [, two]) => two.length - one.length)[0] ?? [];
  await flip(join(pages, name), 100 * mib);
  // The sandbox ends at once, or in the middle of its restore, whose error then says so.
  const error: unknown = await driver.restore(saved.spec, saved.memory).then(
    () => undefined,
    (e: unknown) => e,
  );
  if (error === undefined) await expectEnded(saved, 'damaged');
  else expect(error).toMatchObject({ reason: 'state_damaged' });
  expect(await hostTraces(saved.spec)).toEqual([]);
  await rm(pages, { recursive: true });
  await rename(whole, pages);
  await expectNothingWrong(saved);
});

test('a guard that reacts late does not end the next start of its sandbox', { timeout }, async () => {
  const saved = await save(await startHolder(192, watch));
  await using arriving = await emptied(saved, 0.5);
  await driver.restore(saved.spec, arriving.memory);
  const { guard } = loadingPager(saved);
  process.kill(guard.pid, 'SIGSTOP');
  try {
    arriving.damageRest();
    await expectEnded(saved, 'damaged');
    await arriving.bring('all');
    await using again = await bench.restore(saved.memory, saved.spec);
    process.kill(guard.pid, 'SIGCONT');
    await vi.waitUntil(() => !isRunning(guard), { timeout: 10_000 });
    expect((await again.sh('ls /wrong; echo there')).stdout).toBe('there\n');
    await vi.waitUntil(() => pagerState(workOf(saved.spec)) === 'complete', { timeout: 10_000 });
  } finally {
    if (isRunning(guard)) process.kill(guard.pid, 'SIGKILL');
  }
});

test(
  'a restore whose first blocks are altered fails as damaged and keeps the disk',
  { tags: ['long'], timeout },
  async () => {
    const saved = await save(await startHolder(16, readAll));
    for (const [name, { length }] of Object.entries(saved.memory.digests.parts))
      for (let index = 0; index < length; index++) await flip(join(pagesOf(saved), name), index * mib + 1);
    await expect(driver.restore(saved.spec, saved.memory)).rejects.toMatchObject({ reason: 'state_damaged' });
    expect(await hostTraces(saved.spec)).toEqual([]);
  },
);

/** Where the encrypted pages are. */
function pagesOf({ memory }: Saved): string {
  return memory.digests.sealed?.directory ?? '';
}

async function flip(path: string, position: number): Promise<void> {
  await using file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, position);
  await file.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, position);
}

interface Arriving extends AsyncDisposable {
  readonly memory: SavedMemory;
  readonly file: ArrivalFile;
  /** Puts the blocks at their places that somebody waits for, or all. */
  bring(blocks: 'wanted' | 'all'): Promise<number>;
  /** What has not arrived never will. */
  damageRest(): void;
  /** Brings what is wanted, as long as it is true. */
  isFast: boolean;
}

/**
 * As while the memory still arrives from an object store: its files have their sizes, and are empty. `part`: how much of
 * it arrives by itself when it is wanted; with less than 1, the pager has still to load some at any later time.
 */
async function emptied({ memory }: Saved, part = 1): Promise<Arriving> {
  const { blockBytes } = memory.digests;
  const names = Object.keys(memory.digests.parts);
  const first: Record<string, number> = {};
  const places: { readonly name: string; readonly index: number; readonly bytes: Buffer }[] = [];
  for (const name of names) {
    const content = await readFile(join(memory.directory, name));
    first[name] = places.length;
    for (let index = 0; index * blockBytes < content.length; index++)
      places.push({ name, index, bytes: content.subarray(index * blockBytes, (index + 1) * blockBytes) });
    await truncate(join(memory.directory, name), 0);
    await truncate(join(memory.directory, name), content.length);
  }
  const path = `${memory.directory}.arriving`;
  const file = createArrivalFile(path, places.length);
  const arriving: Arriving = {
    ...{ file, isFast: true },
    memory: { ...memory, digests: { ...memory.digests, arriving: { path, count: places.length, first } } },
    damageRest() {
      arriving.isFast = false;
      for (const at of places.keys()) if (file.arrivalOf(at) === 'missing') file.note(at, 'damaged');
    },
    async bring(which) {
      const wanted = which === 'all' ? places.keys() : file.wanted();
      const missing = [...wanted].filter((at) => file.arrivalOf(at) !== 'there');
      for (const at of missing) {
        const { name, index, bytes } = places[at] ?? { name: '', index: 0, bytes: Buffer.alloc(0) };
        await using target = await open(join(memory.directory, name), 'r+');
        await target.write(bytes, 0, bytes.length, index * blockBytes);
        file.note(at, 'there');
      }
      return missing.length;
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      file.close();
      await rm(path, { force: true });
    },
  };
  let brought = 0;
  const timer = setInterval(() => {
    if (arriving.isFast && brought < part * places.length)
      void arriving.bring('wanted').then((count) => (brought += count));
  }, 5);
  return arriving;
}

const readEnd = 'answer = isRight(count - 200, count)';

test('memory that still arrives is waited for where it is needed, and only there', { timeout }, async () => {
  const saved = await save(await startHolder(192, readEnd));
  await using arriving = await emptied(saved);
  await using sandbox = await bench.restore(arriving.memory, saved.spec);
  expect(await answerOf(sandbox)).toBe('True');
  expect(pagerState(workOf(sandbox.spec))).toBe('loading');
  // Much of it was not asked for by anybody.
  expect(await arriving.bring('all')).toBeGreaterThan(100);
  await vi.waitUntil(() => pagerState(workOf(sandbox.spec)) === 'complete', { timeout: 10_000 });
  expect((await sandbox.sh('cat /program.log')).stdout).toBe('');
});

test(
  'a sandbox waits for memory that does not arrive, and can be ended meanwhile',
  { tags: ['long'], timeout },
  async () => {
    const saved = await save(await startHolder(192, `time.sleep(1)\n${readAll}`));
    await using arriving = await emptied(saved);
    await using sandbox = await bench.restore(arriving.memory, saved.spec);
    arriving.isFast = false;
    await sleep(1500);
    expect(pagerState(workOf(sandbox.spec))).toBe('loading');
    const startedAt = Date.now();
    await driver.destroy(saved.spec.sandboxId, saved.spec.directory);
    expect(Date.now() - startedAt).toBeLessThan(10_000);
    expect(driver.isAlive(sandbox.instance)).toBe(false);
  },
);

test('a sandbox whose memory arrives damaged ends, and says so', { tags: ['long'], timeout }, async () => {
  const saved = await save(await startHolder(192, `time.sleep(1)\n${readAll}`));
  await using arriving = await emptied(saved);
  await using sandbox = await bench.restore(arriving.memory, saved.spec);
  arriving.isFast = false;
  arriving.damageRest();
  await vi.waitUntil(() => !driver.isAlive(sandbox.instance), { timeout: 10_000 });
  expect(await driver.whyEnded(saved.spec.sandboxId, saved.spec.directory)).toBe('damaged');
});
