import { createPrograms } from '@soulbox/envd-client';
import type { Programs } from '@soulbox/envd-client';
import type { Template } from '@soulbox/templates';
import { bootSandbox } from '../processes/boot.ts';
import { takeDisk } from '../processes/sandbox-disk.ts';
import { endSandbox } from '../operations/end.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import { plainLifecycle } from '../registry/record.ts';
import type { Tenant } from '../registry/record.ts';
import { endProcesses } from '../operations/pause/finish-pause.ts';
import { tellSettings } from '../processes/tell-envd.ts';
import type { LiveSandbox, RunningSandbox } from '../registry/table.ts';

/** The template and layers that a sandbox of a build boots from, and its size. */
export interface BuildSandboxOptions {
  readonly template: Template;
  readonly isolation: string;
  /** Frozen disks over the template, topmost first. */
  readonly layers: readonly string[];
  readonly teamId: string;
  readonly cpuCount: number;
  readonly memoryMb: number;
  readonly diskMb: number;
}

/**
 * A sandbox in which a part of a build runs. It belongs to no tenant: lists, events and the gateway do not know it. Its
 * record is written first, so the next server removes it.
 */
export interface BuildSandbox {
  readonly sandbox: RunningSandbox;
  readonly programs: Programs;
  /**
   * Ends its processes and turns its disk into a layer, which is not sealed yet. After that only `end` may be called.
   */
  takeLayer(layerId: string): Promise<void>;
  /** Ends and removes it. Never throws. Does nothing when the sandbox is gone. */
  end(): Promise<void>;
}

/** Boots one and gives its envd the settings. The caller has checked the layers. Throws `sandbox_start_failed`. */
export async function openBuildSandbox(
  context: OperationContext,
  options: BuildSandboxOptions,
  settings: Tenant['settings'],
): Promise<BuildSandbox> {
  const { host, table, clock } = context;
  const { template, isolation, layers, cpuCount, memoryMb, diskMb, teamId } = options;
  const tenant = tenantOf(teamId, settings, clock.now());
  const own = { layers: [...layers], cpuCount, memoryMb, diskMb, tenant };
  const sandbox = await bootSandbox(host, { template, isolation }, own);
  table.add(sandbox);
  const programs = createPrograms(sandbox.live.dial, '');
  const end = async (): Promise<void> => {
    programs.close();
    await endSandbox(context, sandbox.record.sandboxId, 'killed');
  };
  try {
    await table.step(sandbox, 'building');
    if (!hasTenant(sandbox)) throw new Error('the record of a build sandbox lost its settings');
    await tellSettings(context, sandbox, sandbox.live);
    return {
      sandbox,
      programs,
      async takeLayer(layerId) {
        programs.close();
        await endProcesses(host, sandbox);
        await takeDisk(context, sandbox, layerId);
      },
      end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

function hasTenant(sandbox: LiveSandbox): sandbox is RunningSandbox {
  return sandbox.record.tenant !== undefined;
}

/** It has no deadline, since the build has one of its own. */
function tenantOf(teamId: string, settings: Tenant['settings'], nowMs: number): Tenant {
  return {
    ...{ teamId, keyId: '', creationId: '' },
    alias: '',
    startedAtMs: nowMs,
    endAtMs: nowMs,
    metadata: {},
    network: { allowOut: [], denyOut: [], maskRequestHost: '' },
    envdAccessToken: '',
    trafficAccessToken: '',
    lifecycle: plainLifecycle,
    settings,
  };
}
