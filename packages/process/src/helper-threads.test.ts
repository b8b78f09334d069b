import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { execFileSync } from 'node:child_process';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lowerHelperThreads } from './helper-threads.ts';

/** Prints the name and the niceness of each of its threads (proc(5), fields 2 and 19 of stat). */
const script = `
  import { readdirSync, readFileSync } from 'node:fs';
  import { lowerHelperThreads } from ${JSON.stringify(join(import.meta.dirname, 'helper-threads.ts'))};
  lowerHelperThreads();
  for (const tid of readdirSync('/proc/self/task')) {
    const [, name, rest] = /^\\d+ \\((.*)\\) (.*)$/s.exec(readFileSync('/proc/self/task/' + tid + '/stat', 'latin1'));
    console.log(name, rest.split(' ')[16]);
  }`;

test('only helper threads of V8 get a lower priority', () => {
  const args = ['--conditions=soulbox-source', '--input-type=module', '--eval', script];
  const lines = execFileSync(process.execPath, args, { encoding: 'utf8' }).trim().split('\n');
  const [helpers, others] = [
    lines.filter((line) => line.startsWith('V8Worker')),
    lines.filter((line) => !line.startsWith('V8Worker')),
  ];
  expect(helpers.length).toBeGreaterThan(0);
  expect(new Set(helpers)).toEqual(new Set([`V8Worker ${getPriority() + 5}`]));
  for (const line of others) expect(line.endsWith(` ${getPriority()}`)).toBe(true);
});

test('threads that end meanwhile are no error', async () => {
  const ends: Promise<unknown>[] = [];
  for (let started = 0; started < 60; started += 1) {
    const worker = new Worker('', { eval: true });
    ends.push(once(worker, 'exit'));
    for (let calls = 0; calls < 10; calls += 1) lowerHelperThreads();
  }
  await Promise.all(ends);
});
