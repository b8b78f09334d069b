import { fstatSync, openSync } from 'node:fs';
import { silentLogger } from '@soulbox/base/logger';
import { expect, test } from 'vitest';
import type { OpenVolumes } from '../volumes/open-volumes.ts';
import { createMountLimits } from './mount-limits.ts';
import { createMounts } from './serve-mounts.ts';
import type { MountOrder } from './serve-mounts.ts';

/** Volumes that take for ever to open. */
const volumes = {
  exists: () => true,
  use: async () => await new Promise(() => undefined),
  teamBytes: async () => await Promise.resolve(0),
} as unknown as OpenVolumes;

const orderOf = (teamId: string, number: number): MountOrder => ({
  place: { teamId, groupId: 'v', volumeId: 'v' },
  ...{ mount: `${teamId}-${number}`, fd: openSync('/dev/null', 'r'), isTakeover: false, isReadOnly: false },
  negotiated: { minor: 36, maxWriteBytes: 4096, flags: [] },
  limits: { sizeBytes: undefined, teamBytes: undefined },
});

test('one team cannot take all mounts of the server', async () => {
  using limits = createMountLimits(volumes, silentLogger);
  const mounts = createMounts(volumes, { limits, onMounts: () => undefined, logger: silentLogger });
  const serve = async (order: MountOrder): Promise<string> =>
    await Promise.race([
      mounts.serve(order).then(
        () => 'served',
        (error: unknown) => String(error),
      ),
      new Promise<string>((resolve) => setImmediate(() => resolve('begun'))),
    ]);
  for (let number = 0; number < 128; number += 1) expect(await serve(orderOf('greedy', number))).toBe('begun');
  const refused = orderOf('greedy', 128);
  expect(await serve(refused)).toMatch('The team has 128 mounts');
  expect(() => fstatSync(refused.fd)).toThrow('EBADF');
  for (let number = 0; number < 128; number += 1) expect(await serve(orderOf('other', number))).toBe('begun');
  expect(await serve(orderOf('third', 0))).toMatch('The server has 256 mounts');
  expect(mounts.list()).toHaveLength(256);
});
