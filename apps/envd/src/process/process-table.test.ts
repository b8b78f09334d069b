import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { create } from '@bufbuild/protobuf';
import { ProcessSelectorSchema } from '@soulbox/contract/process';
import { createLogBudget } from '../output-log/log-budget.ts';
import { createOutputLog } from '../output-log/output-log.ts';
import type { ManagedProcess } from './managed-process.ts';
import { createProcessTable } from './process-table.ts';
import type { ProcessTable } from './process-table.ts';

let table: ProcessTable;
beforeEach(() => {
  vi.useFakeTimers();
  table = createProcessTable(() => 'prefix');
});
afterEach(() => void vi.useRealTimers());

let count = 0;
/** What the table uses of a process. */
function processOf(pid: number, tag?: string): ManagedProcess {
  count += 1;
  const spec = { origin: 'e2b', keepMs: 600_000 };
  const log = createOutputLog({
    ...{ path: '/proc/nowhere', maxBytes: 1, policy: 'drop-oldest', usesDisk: false, budget: createLogBudget() },
    onFull: () => undefined,
    onDiskFailure: () => undefined,
  });
  return { id: `p${count}`, startedAtMs: count, spec, pid, tag, log } as ManagedProcess;
}
const byPid = (value: number) => create(ProcessSelectorSchema, { selector: { case: 'pid', value } });
const byTag = (value: string) => create(ProcessSelectorSchema, { selector: { case: 'tag', value } });
const notFound = expect.objectContaining({ reason: 'process_not_found' }) as Error;

describe('a pid that the kernel has reused', () => {
  test('refers to the running process, not to the ended one', () => {
    const [ended, runs] = [processOf(7), processOf(7)];
    table.add(ended);
    table.retire(ended);
    table.add(runs);
    expect(table.get(byPid(7))).toBe(runs);
    expect(table.getAlive(byPid(7))).toBe(runs);
  });

  test('refers to the last of several ended processes', () => {
    const processes = [processOf(7, 'first'), processOf(7, 'second'), processOf(7, 'third')];
    for (const each of processes) {
      table.add(each);
      table.retire(each);
    }
    expect(table.get(byPid(7)).tag).toBe('third');
  });
});

test('a process is found by its pid and by its tag, and unknown values find nothing', () => {
  table.add(processOf(7, 'server'));
  table.add(processOf(8));
  expect(table.getAlive(byTag('server')).pid).toBe(7);
  expect(table.getAlive(byPid(8)).pid).toBe(8);
  expect(() => table.get(byPid(9))).toThrow(notFound);
  expect(() => table.get(byTag(''))).toThrow(notFound);
});

test.each([undefined, create(ProcessSelectorSchema, {})])('an empty selector is a bad request', (none) => {
  expect(() => table.get(none)).toThrow(expect.objectContaining({ reason: 'bad_request' }) as Error);
});

test('an ended process is found for 30 s, and is no longer among the running ones', () => {
  const process = processOf(7);
  table.add(process);
  table.retire(process);
  expect(table.alive()).toEqual([]);
  expect(() => table.getAlive(byPid(7))).toThrow(notFound);
  vi.advanceTimersByTime(29_999);
  expect(table.get(byPid(7))).toBe(process);
  vi.advanceTimersByTime(1);
  expect(() => table.get(byPid(7))).toThrow(notFound);
});

test('if too many processes have ended, the oldest are forgotten first', () => {
  for (let pid = 1; pid <= 1025; pid += 1) {
    const process = processOf(pid);
    table.add(process);
    table.retire(process);
  }
  expect(() => table.get(byPid(1))).toThrow(notFound);
  expect(table.get(byPid(2)).pid).toBe(2);
  expect(table.get(byPid(1025)).pid).toBe(1025);
});

test('process 4097 may not start until another one has ended', () => {
  const processes = Array.from({ length: 4096 }, (_, index) => processOf(index + 1));
  for (const each of processes.slice(1)) table.add(each);
  table.checkRoom();
  table.add(processes[0] as ManagedProcess);
  expect(() => table.checkRoom()).toThrow(expect.objectContaining({ reason: 'limit_exceeded' }) as Error);
  table.retire(processes[0] as ManagedProcess);
  table.checkRoom();
});
