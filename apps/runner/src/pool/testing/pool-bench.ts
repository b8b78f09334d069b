import { setTimeout as sleep } from 'node:timers/promises';
import { measureOperation, systemClock } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import type { Clock } from '@soulbox/base';
import type { Template } from '@soulbox/templates';
import type { LiveSandbox } from '../../registry/table.ts';
import type { Blueprint } from '../../processes/blueprint.ts';
import { createPool } from '../pool.ts';

// Only the order of steps is tested with it, so a sandbox is just its id. The end-to-end tests use real ones.
export function templateOf(templateId: string, isolation = 'container'): Blueprint {
  return { kind: 'template', template: { templateId } as Template, isolation };
}

export const snapshotOf = (snapshotId: string): Blueprint => ({ kind: 'snapshot', snapshotId });

export interface Boot {
  /** Id of the template or the snapshot. */
  of: string;
  finish(): void;
  fail(error: Error): void;
}

export interface Setting {
  readonly size: number;
  readonly maxByUse?: number;
  readonly memoryLimitBytes?: number;
  readonly bootConcurrency?: number;
  readonly idleMs?: number;
  /** Spares cannot be prepared. */
  readonly restFails?: boolean;
  readonly clock?: Clock;
}

/** Every spare takes one byte of memory. */
export function setUp({ restFails = false, ...options }: Setting) {
  const boots: Boot[] = [];
  const discarded: string[] = [];
  const rested: string[] = [];
  let count = 0;
  const pool = createPool({
    bootConcurrency: 2,
    maxByUse: 4 * options.size,
    memoryLimitBytes: 100,
    idleMs: 1000,
    clock: systemClock,
    ...options,
    logger: silentLogger,
    boot: async (blueprint) =>
      await measureOperation('boot', async (finish) => {
        const live = await new Promise<LiveSandbox>((resolve, reject) => {
          boots.push({
            of: blueprint.kind === 'template' ? blueprint.template.templateId : blueprint.snapshotId,
            finish: () => {
              resolve({ record: { sandboxId: `i${++count}` } } as LiveSandbox);
            },
            fail: reject,
          });
        });
        finish();
        return live;
      }),
    rest: async (sandbox) => {
      await Promise.resolve();
      if (restFails) throw new Error('is not frozen');
      rested.push(sandbox.record.sandboxId);
      return 1;
    },
    discard: async (sandbox) => {
      await Promise.resolve();
      discarded.push(sandbox.record.sandboxId);
    },
  });
  return { pool, boots, discarded, rested };
}

export async function finishNext(boots: Boot[]): Promise<void> {
  boots.shift()?.finish();
  await sleep(1);
}

export async function useTwice({ pool, boots }: ReturnType<typeof setUp>, blueprint: Blueprint): Promise<void> {
  for (let use = 0; use < 2; use++) {
    const taken = pool.take(blueprint);
    await finishNext(boots);
    await taken;
  }
}
