import { afterAll, expect, test } from 'vitest';
import { openCgroups } from '../cgroup/open-cgroups.ts';
import { listPids } from '../cgroup/tree.ts';
import { testInstance } from '../container/testing/test-instance.ts';
import { endHostTools, toolsOf } from './host-tool.ts';
import { toolGroupParent } from './names.ts';
import { startWaitingTool } from './waiting-tool.ts';

const cgroups = openCgroups();
const tools = toolsOf({ instance: testInstance, cgroups }, 'iwaiting');
afterAll(() => cgroups.remove(toolGroupParent(testInstance)));

/** Says the words of its order, one by one, and waits after each. */
const repeats = [
  ...['sh', '-c'],
  'read -r count || exit 0; while [ "$count" -gt 0 ]; do IFS= read -r word; set -- "$@" "$word"; count=$((count - 1)); done; for word; do echo "<$word>"; read -r go; done',
  'sh',
];

test('a tool that waits belongs to no sandbox, and gets the words of its order unchanged', async () => {
  const tool = startWaitingTool(repeats);
  expect([tool.isWaiting, await listPids(tools.folder)]).toEqual([true, []]);
  const order = ['plain', '', '  two  spaces ', String.raw`back\slash $HOME "quoted" 'single' *`];
  const said: string[] = [];
  const pids = new Set<number>();
  await tool.begin(order, {
    tools,
    onLine: async (pid, line) => {
      said.push(line);
      pids.add(pid);
      expect(await listPids(tools.folder)).toContain(pid);
    },
  });
  expect(said).toEqual(order.map((word) => `<${word}>`));
  expect([pids.size, tool.isWaiting]).toEqual([1, false]);
});

test('a word with a line break is refused, and nothing is left', async () => {
  const tool = startWaitingTool(repeats);
  await expect(tool.begin(['one', 'two\nthree'], { tools })).rejects.toThrow('line break');
  await expect.poll(() => listPids(tools.folder)).toEqual([]);
});

test('it works with a time limit and a signal, and can be ended by its group', async () => {
  const tool = startWaitingTool(['sh', '-c', 'read -r count; exec sleep 60']);
  await expect(tool.begin([], { tools, timeoutMs: 100 })).rejects.toThrow('SIGKILL');
  const other = startWaitingTool(['sh', '-c', 'read -r count; exec sleep 60']);
  await expect(other.begin([], { tools, signal: AbortSignal.timeout(100) })).rejects.toThrow('SIGKILL');
  const third = startWaitingTool(['sh', '-c', 'read -r count; sleep 60 & wait']);
  const failed = third.begin([], { tools }).catch(() => 'failed');
  await expect.poll(async () => (await listPids(tools.folder)).length).toBe(2);
  await endHostTools(tools);
  expect(await failed).toBe('failed');
});

test('one that ends by itself no longer waits, and one that does not exist is an error', async () => {
  const tool = startWaitingTool(['true']);
  await expect.poll(() => tool.isWaiting).toBe(false);
  expect(() => startWaitingTool(['/proc/nowhere'])).toThrow('/proc/nowhere');
});
