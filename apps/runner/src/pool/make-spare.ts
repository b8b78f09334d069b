import { measureOperation } from '@soulbox/base';
import type { DiskReserve } from '@soulbox/storage';
import { rehearse, rehearseClaim } from '../envd/rehearse.ts';
import { bootSandbox } from '../processes/boot.ts';
import { restoreCopy } from '../operations/copies/make-copy.ts';
import { orderCopies } from '../operations/copies/order-copies.ts';
import { sealedSource } from '../operations/copies/source-at-hand.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import type { LiveSandbox } from '../registry/table.ts';
import type { SnapshotBlueprint, TemplateBlueprint } from '../processes/blueprint.ts';
import type { PoolOptions } from './pool.ts';

/** Makes sandboxes without a tenant, and prepares them for waiting. */
export function createSpareMaker(context: OperationContext, reserve: DiskReserve): Pick<PoolOptions, 'boot' | 'rest'> {
  return {
    boot: async (blueprint) => {
      reserve.check();
      return blueprint.kind === 'template'
        ? await bootSpare(context, blueprint)
        : await restoreSpare(context, blueprint);
    },
    rest: async ({ live, record }, blueprint) => {
      if (blueprint.kind === 'template') await rehearse(live, blueprint.template.defaultUser);
      else {
        await rehearseClaim(live, record);
        // Programs of the template run in it. It is frozen so that its tenant gets them as they were saved.
        await live.driver.freeze(live.instance);
      }
      return live.driver.sample(live.instance).memoryWorkingSetBytes;
    },
  };
}

async function bootSpare({ host, table }: OperationContext, blueprint: TemplateBlueprint): Promise<LiveSandbox> {
  const sandbox = await bootSandbox(host, blueprint);
  table.add(sandbox);
  await table.step(sandbox, 'warm');
  return sandbox;
}

/** It stays `restoring` until it is claimed, so that the next server of any version removes it. */
async function restoreSpare(context: OperationContext, { snapshotId }: SnapshotBlueprint): Promise<LiveSandbox> {
  return await measureOperation('spare', async (finish) => {
    const snapshot = context.snapshots.get(snapshotId);
    using _hold = context.references.hold({ checkpoints: [snapshot.stateId], layers: snapshot.layers });
    const order = await orderCopies(context, sealedSource(context.host, snapshot), 'snapshot');
    await using _memory = order.memory;
    const spare = await restoreCopy(context, order);
    context.host.logger.info({ sandboxId: spare.record.sandboxId, snapshotId, ...finish() }, 'spare restored');
    return spare;
  });
}
