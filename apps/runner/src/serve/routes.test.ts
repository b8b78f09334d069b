import { createClient, createRouterTransport } from '@connectrpc/connect';
import { holdHostRoom } from '@soulbox/contract/hold-host-room';
import { errorFromConnect } from '@soulbox/contract/connect-errors';
import { RunnerService } from '@soulbox/contract/runner';
import { SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { beforeEach, expect, test } from 'vitest';
import type { RunnerContext } from '../context.ts';
import { createConnectionQueue } from '../connections/connection-queue.ts';
import { createConsumption } from '../metrics/consumption.ts';
import { createHolds } from '../registry/holds.ts';
import type { Holds } from '../registry/holds.ts';
import { parseCause } from './from-message.ts';
import { addRunnerRoutes } from './routes.ts';

let roomBytes: number;
let stop: AbortController;
let holds: Holds;
let usage: { diskBytes: number; pausedMemoryBytes: number };
let state: string;
let runner: ReturnType<typeof createClient<typeof RunnerService>>;
beforeEach(() => {
  roomBytes = 10;
  stop = new AbortController();
  const admit = (bytes: number, what: string): Disposable => {
    if (bytes > roomBytes) throw new SoulBoxError('disk_full', `${what} may take ${bytes} bytes.`);
    roomBytes -= bytes;
    return { [Symbol.dispose]: () => void (roomBytes += bytes) };
  };
  holds = createHolds();
  usage = { diskBytes: 0, pausedMemoryBytes: 0 };
  state = 'running';
  const context = {
    host: { disks: { admit } },
    stopping: stop.signal,
    usageOf: (teamId: string) => (teamId === 'ours' ? usage : { diskBytes: 0, pausedMemoryBytes: 0 }),
    table: { getTenants: () => ({ record: { state, tenant: { teamId: 'ours' } } }), tenants: () => [] },
    holds,
    consumption: createConsumption(),
    connections: createConnectionQueue(),
    templates: { find: async (templateId: string) => await Promise.resolve({ templateId, names: ['new-name'] }) },
    logger: silentLogger,
  } as unknown as RunnerContext;
  runner = createClient(
    RunnerService,
    createRouterTransport((router) => {
      addRunnerRoutes(router, context);
    }),
  );
});

const archive = { bytes: 6, what: 'The archive' };
const refused = { reason: 'disk_full', message: 'The archive may take 6 bytes.' };

test.each([1000, 1001])(
  'a caller that waits for connections gets an answer before its deadline of %i ms',
  async (timeoutMs) => {
    const startedAt = performance.now();
    expect(await runner.takeConnections({}, { timeoutMs })).toMatchObject({ connections: [], dropped: 0n });
    expect(performance.now() - startedAt).toBeGreaterThan(timeoutMs / 2);
  },
);

test('room is reserved for one caller until it is done, so two requests that fit separately do not fit together', async () => {
  {
    using _room = await holdHostRoom(runner, archive);
    await expect(holdHostRoom(runner, archive)).rejects.toMatchObject(refused);
    using _small = await holdHostRoom(runner, { ...archive, bytes: 4 });
    expect(roomBytes).toBe(0);
  }
  await expect.poll(() => roomBytes).toBe(10);
  using _again = await holdHostRoom(runner, archive);
});

test('a stream that is dropped at once, and a runner that stops, release the room', async () => {
  const gone = new AbortController();
  const dropped = runner.holdHostRoom({ bytes: 6n, what: 'It' }, { signal: gone.signal })[Symbol.asyncIterator]();
  const answer = dropped.next();
  gone.abort();
  await answer.catch(errorFromConnect);
  await expect.poll(() => roomBytes).toBe(10);
  using _room = await holdHostRoom(runner, archive);
  stop.abort();
  await expect.poll(() => roomBytes).toBe(10);
});

const reasonOf = async (work: Promise<unknown>): Promise<string> =>
  await work.then(
    () => 'done',
    (thrown: unknown) => errorFromConnect(thrown).reason,
  );

test('a step that uses disk is refused when the team has reached the limit of the request', async () => {
  usage.diskBytes = 5 * 2 ** 20;
  const teamLimits = { diskBytes: 5n * 2n ** 20n, pausedMemoryBytes: 2n ** 40n };
  const limited = [
    runner.createSandbox({ teamId: 'ours', templateId: 'x', teamLimits }),
    runner.forkSandbox({ teamId: 'ours', count: 1, source: { case: 'sandboxId', value: 'i' }, teamLimits }),
    runner.makeSnapshot({ sandboxId: 'i', snapshotId: 's', teamLimits }),
  ];
  for (const step of limited) expect(await reasonOf(step)).toBe('limit_exceeded');
  await expect(runner.createSandbox({ teamId: 'ours', teamLimits })).rejects.toThrow(
    'its sandbox disks and snapshots use 5 MiB of the allowed 5 MiB',
  );
  const others = { teamId: 'others', templateId: 'x', templateName: 'old-name', teamLimits };
  expect(await reasonOf(runner.createSandbox(others))).toBe('template_not_found');
});

test('a pause is refused when the team has reached its limit of paused memory, unless the sandbox is paused already', async () => {
  usage.pausedMemoryBytes = 10;
  const pause = { sandboxId: 'i', keepMemory: true, teamLimits: { diskBytes: 0n, pausedMemoryBytes: 10n } };
  expect(await reasonOf(runner.pauseSandbox(pause))).toBe('limit_exceeded');
  await expect(runner.pauseSandbox(pause)).rejects.toThrow('the saved memory of its paused sandboxes uses');
  state = 'paused';
  expect(await reasonOf(runner.pauseSandbox(pause))).not.toBe('limit_exceeded');
});

test('a template that does not have the name any more that the caller knows is not found', async () => {
  const create = { templateId: 'x', templateName: 'old-name' };
  await expect(runner.createSandbox(create)).rejects.toThrow('Template "old-name" was not found.');
});

test('a held team creates and forks nothing, until the control plane lifts the hold', async () => {
  const create = async (teamId: string): Promise<string> =>
    await reasonOf(runner.createSandbox({ teamId, templateName: 'old-name' }));
  const fork = async (): Promise<string> =>
    await reasonOf(runner.forkSandbox({ teamId: 'ours', source: { case: 'snapshotId', value: 's' } }));
  await runner.settleUsage({ holds: [{ teamId: 'ours', keyId: '', message: 'Spent.' }] });
  expect([await create('ours'), await fork(), await create('theirs')]).toEqual([
    ...['budget_spent', 'budget_spent', 'template_not_found'],
  ]);
  const { epoch, counters } = await runner.settleUsage({});
  expect([epoch.length > 8, counters]).toEqual([true, []]);
  expect(await create('ours')).toBe('template_not_found');
});

test('a cause that this version does not know is refused', () => {
  expect(parseCause('budget', 'request')).toBe('budget');
  expect(parseCause('', 'request')).toBe('request');
  for (const cause of ['whim', 'toString', 'Budget']) expect(() => parseCause(cause, 'request')).toThrow('unknown');
});
