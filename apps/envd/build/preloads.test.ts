import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildEnvdBundle } from './build-bundle.ts';

// e2e/copies/fork-hazards.test.ts tests their effect in a copy. The tests here show that programs do not notice them
// before.

let parent: string;
let reseed: string;

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'soulbox-preloads-'));
  reseed = join((await buildEnvdBundle(parent)).directory, 'reseed');
}, 120_000);

afterAll(async () => {
  await removeTree(parent);
});

async function runNode(script: string, type = 'commonjs'): Promise<string> {
  const preload = join(reseed, 'node.cjs');
  return await run(process.execPath, ['--require', preload, `--input-type=${type}`, '-e', script]);
}

/** Runs Python. The script sends itself the signal that envd sends to every process of a copy. */
async function runPython(script: string, path = join(reseed, 'python')): Promise<string> {
  return await run('/usr/bin/env', [`PYTHONPATH=${path}`, 'python3', '-c', script]);
}

describe('the preload of Node', () => {
  test.each([
    ['randomBytes', 'const b = c.randomBytes(40); check(b.length === 40 && b.some((x) => x > 0))'],
    ['randomBytes with a callback', 'c.randomBytes(8, (e, b) => check(e === null && b.length === 8))'],
    ['a promisified randomBytes', 'util.promisify(c.randomBytes)(8).then((b) => check(b.length === 8))'],
    [
      'randomUUID',
      'check(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(c.randomUUID()))',
    ],
    ['randomInt below', 'check(many(() => c.randomInt(3), [0, 1, 2]))'],
    ['randomInt between', 'check(many(() => c.randomInt(-2, 1), [-2, -1, 0]))'],
    ['randomInt with a callback', 'c.randomInt(5, 6, (e, n) => check(e === undefined && n === 5))'],
    ['randomInt of the widest range', 'check(c.randomInt(2 ** 48 - 1) < 2 ** 48 - 1)'],
    [
      'randomFillSync of a part, in elements',
      'const a = new Uint32Array(8); check(c.randomFillSync(a, 2, 4) === a && !a[0] && !a[1] && a[2] && a[5] && !a[6] && !a[7])',
    ],
    [
      'randomFillSync of an ArrayBuffer',
      'const a = new ArrayBuffer(32); c.randomFillSync(a); check(new Uint8Array(a).some((x) => x > 0))',
    ],
    ['randomFill', 'c.randomFill(Buffer.alloc(9), 1, (e, b) => check(e === null && b[0] === 0 && b.length === 9))'],
    [
      'getRandomValues',
      'const a = new Uint16Array(9); check(crypto.getRandomValues(a) === a && a.some((x) => x > 255))',
    ],
    ['randomUUID of the web', 'check(crypto.randomUUID().length === 36)'],
    [
      'Math.random after a copy',
      "process.kill(process.pid, 'SIGURG'); setTimeout(() => check(many(() => Math.floor(Math.random() * 3), [0, 1, 2])), 50)",
    ],
  ])('keeps %s working', async (_name, line) => {
    const script = `const c = require('node:crypto'); const util = require('node:util');
      const check = (ok) => console.log(ok ? 'good' : 'bad');
      const many = (draw, all) => { const seen = new Set(Array.from({ length: 200 }, draw));
        return seen.size === all.length && all.every((one) => seen.has(one)); };
      ${line}`;
    expect(await runNode(script)).toBe('good\n');
  });

  test.each([
    ['randomBytes(-1)', 'ERR_OUT_OF_RANGE'],
    ['randomBytes("x")', 'ERR_INVALID_ARG_TYPE'],
    ['randomInt(1, 1)', 'ERR_OUT_OF_RANGE'],
    ['randomInt(0.5)', 'ERR_INVALID_ARG_TYPE'],
    ['randomFillSync(Buffer.alloc(2), 3)', 'ERR_OUT_OF_RANGE'],
    ['randomFillSync("text")', 'ERR_INVALID_ARG_TYPE'],
    ['randomUUID(5)', 'ERR_INVALID_ARG_TYPE'],
  ])('still refuses %s', async (call, code) => {
    expect(await runNode(`try { require('crypto').${call}; } catch (error) { console.log(error.code); }`)).toBe(
      `${code}\n`,
    );
  });

  test('also replaces functions that a module imports by name, and reads from the kernel', async () => {
    const script = `import { randomBytes } from 'node:crypto'; import crypto from 'node:crypto';
      console.log(randomBytes === crypto.randomBytes, /replace|original/.test(randomBytes.toString()));`;
    expect(await runNode(script, 'module')).toBe('true true\n');
  });

  test('changes Math.random only in a copy, and lets the program end', async () => {
    const script = `const before = Math.random; process.kill(process.pid, 'SIGURG');
      const same = before === Math.random; setTimeout(() => console.log(same, before === Math.random), 50);`;
    expect(await runNode(script)).toBe('true false\n');
  });
});

describe('the preload of Python', () => {
  test('seeds loaded modules, and only in a copy', async () => {
    const script = `
import sys
import random, ssl, os
import _signal
random.seed(1); first = random.random(); random.seed(1)
os.kill(os.getpid(), _signal.SIGURG)
print(random.random() == first)
random.seed(1); print(random.random() == first)`;
    expect(await runPython(script)).toBe('False\nTrue\n');
  });

  test('loads no module at the start of a program', async () => {
    const list = 'import sys; print(*sorted(sys.modules))';
    expect(await runPython(list)).toBe(await runPython(list, ''));
  });

  test('lets another sitecustomize run', async () => {
    const folder = join(parent, 'custom');
    await run('mkdir', [folder]);
    await writeFile(join(folder, 'sitecustomize.py'), 'import sys\nsys.marker = 7 if __file__ else 0\n');
    for (const own of [`${reseed}/python`, `${reseed}//python/`]) {
      expect(await runPython('import sys; print(sys.marker)', `${own}:${folder}`)).toBe('7\n');
    }
  });

  test('keeps a handler that the program sets', async () => {
    const script = `
import signal, os, random
signal.signal(signal.SIGURG, lambda *_: print("own"))
random.seed(1); first = random.random(); random.seed(1)
os.kill(os.getpid(), signal.SIGURG)
print(random.random() == first)`;
    expect(await runPython(script)).toBe('own\nTrue\n');
  });
});
