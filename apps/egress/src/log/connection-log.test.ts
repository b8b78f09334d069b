import { setTimeout as sleep } from 'node:timers/promises';
import { SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import type { EgressRecord } from '@soulbox/contract/egress-record-service';
import { expect, test } from 'vitest';
import { createConnectionLog } from './connection-log.ts';

const recordOf = (sandboxId: string, more: Partial<EgressRecord> = {}): EgressRecord => ({
  ...{ sandboxId, teamId: 't', startedAtMs: 1000, durationMs: 0, protocol: 'tcp', name: '', address: '', port: 1 },
  ...{ rule: '', isAllowed: false, reason: 'denied', bytesSent: 0, bytesReceived: 0, method: '', path: '', ...more },
});

/** A control plane that takes everything, or fails as long as a test wants. */
function controlPlane(): {
  taken: EgressRecord[];
  dropped: number;
  calls: number;
  failure: Error | undefined;
  record: (list: readonly EgressRecord[], dropped: number) => Promise<void>;
} {
  const state = {
    taken: [] as EgressRecord[],
    ...{ dropped: 0, calls: 0, failure: undefined as Error | undefined },
    async record(list: readonly EgressRecord[], dropped: number): Promise<void> {
      await Promise.resolve();
      state.calls += 1;
      if (state.failure !== undefined) throw state.failure;
      state.taken.push(...list);
      state.dropped += dropped;
    },
  };
  return state;
}

test('records go in batches, in their order', async () => {
  const control = controlPlane();
  {
    await using log = createConnectionLog(control, silentLogger, 20);
    for (let port = 0; port < 1200; port += 1) log.add(recordOf('a', { port }));
    await sleep(200);
  }
  expect(control.taken.map(({ port }) => port)).toEqual(Array.from({ length: 1200 }, (_, port) => port));
  expect(control.calls).toBe(3);
});

test('while the control plane is away, records wait and are sent once', async () => {
  const control = controlPlane();
  control.failure = new SoulBoxError('control_unavailable', 'away');
  await using log = createConnectionLog(control, silentLogger, 5);
  log.add(recordOf('a'));
  await sleep(250);
  expect(control.calls).toBeLessThan(6);
  control.failure = undefined;
  await sleep(700);
  expect(control.taken).toHaveLength(1);
});

test('a control plane without room costs the records, which are counted', async () => {
  const control = controlPlane();
  control.failure = new SoulBoxError('disk_full', 'full');
  await using log = createConnectionLog(control, silentLogger, 5);
  for (let index = 0; index < 10; index += 1) log.add(recordOf('a'));
  await sleep(60);
  control.failure = undefined;
  await sleep(400);
  expect(control.taken).toHaveLength(0);
  expect(control.dropped).toBe(10);
});

test('a sandbox that floods loses its own records, and not those of others', async () => {
  const control = controlPlane();
  {
    await using log = createConnectionLog(control, silentLogger, 5);
    for (let index = 0; index < 10_000; index += 1) log.add(recordOf('loud'));
    log.add(recordOf('quiet'));
  }
  expect(control.taken.filter(({ sandboxId }) => sandboxId === 'quiet')).toHaveLength(1);
  expect(control.taken.length).toBeLessThan(2100);
  expect(control.taken.length + control.dropped).toBe(10_001);
});

test('equal look-ups are recorded once in ten seconds', async () => {
  const control = controlPlane();
  {
    await using log = createConnectionLog(control, silentLogger, 5);
    for (const startedAtMs of [0, 5000, 9999, 10_000]) log.addLookup(recordOf('a', { name: 'x.example', startedAtMs }));
    log.addLookup(recordOf('a', { name: 'y.example', startedAtMs: 0 }));
    log.addLookup(recordOf('b', { name: 'x.example', startedAtMs: 0 }));
  }
  expect(control.taken.map(({ sandboxId, name, startedAtMs }) => [sandboxId, name, startedAtMs])).toEqual([
    ['a', 'x.example', 0],
    ['a', 'x.example', 10_000],
    ['a', 'y.example', 0],
    ['b', 'x.example', 0],
  ]);
});

test('the stop waits for the last records, and not for ever', async () => {
  const control = controlPlane();
  const started = performance.now();
  {
    await using log = createConnectionLog({ record: () => new Promise(() => undefined) }, silentLogger, 5);
    log.add(recordOf('a'));
    await sleep(20);
  }
  expect(performance.now() - started).toBeLessThan(3000);
  {
    await using log = createConnectionLog(control, silentLogger, 5000);
    log.add(recordOf('a'));
  }
  expect(control.taken).toHaveLength(1);
});
