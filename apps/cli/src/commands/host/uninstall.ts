import { readdir } from 'node:fs/promises';
import { defineCommand } from 'citty';
import { removeTree, SoulBoxError } from '@soulbox/base';
import { listHostInstances, removeHostInstance } from '@soulbox/box/host-instances';
import type { HostInstance } from '@soulbox/box/host-instances';
import { findServer } from '@soulbox/box/server-file';
import { forgetHostChanges, planHostUndo } from '@soulbox/host';
import type { UndoPlan, UndoStep } from '@soulbox/host';
import { recordsFileName } from '@soulbox/storage/records-file';
import { resolveFolders } from '../../config.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';

export const uninstall = defineCommand({
  meta: {
    name: 'uninstall',
    description: 'Undo the changes of set-up on this host, and print what remains',
    examples: ['sudo soulbox uninstall --dry-run', 'sudo soulbox uninstall --data'],
  },
  args: {
    data: { type: 'boolean', description: 'Also delete the data folder: sandboxes, snapshots, templates, keys' },
    'dry-run': { type: 'boolean', description: 'Only print what would be done' },
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const { dataDirectory } = resolveFolders(args['data-dir']);
    if (process.getuid?.() !== 0)
      throw new SoulBoxError('forbidden', 'Only root can undo the changes of set-up. Use sudo.');
    const instances = await listHostInstances();
    await refuseWhileUsed(dataDirectory, instances);
    const plan = await planAll(dataDirectory, instances, args.data === true);
    const isDry = args['dry-run'] === true;
    const failed = isDry ? [] : await undo(plan.steps);
    if (!isDry && failed.length === 0) await forgetHostChanges();
    const done = plan.steps.map(({ what }) => what);
    if (args.json === true) console.log(JSON.stringify({ dryRun: isDry, steps: done, failed, left: plan.left }));
    else tell({ isDry, done, failed, left: plan.left });
    return failed.length > 0 ? exitCodes.failed : exitCodes.ok;
  },
});

/** Throws `illegal_transition`: a running server would lose its network and its limits. */
async function refuseWhileUsed(dataDirectory: string, instances: readonly HostInstance[]): Promise<void> {
  const pids = new Set(instances.map(({ server }) => server).filter((pid) => pid !== undefined));
  const own = await findServer(dataDirectory);
  if (own !== undefined) pids.add(own.pid);
  if (pids.size > 0)
    throw new SoulBoxError(
      'illegal_transition',
      `Servers run on this host (pid ${[...pids].join(', ')}). Stop each with "soulbox down", then uninstall.`,
    );
  const busy = instances.filter(({ isBusy }) => isBusy).map(({ instance }) => instance);
  if (busy.length > 0)
    throw new SoulBoxError(
      'illegal_transition',
      `Sandboxes of instance ${busy.join(', ')} still run without a server. End them with "soulbox down --end-sandboxes", then uninstall.`,
    );
}

async function planAll(
  dataDirectory: string,
  instances: readonly HostInstance[],
  deletesData: boolean,
): Promise<UndoPlan> {
  const host = await planHostUndo();
  const ofInstances = instances.map(({ instance, traces }): UndoStep => ({
    what: `remove the remains of instance ${instance}: ${traces.join(', ')}`,
    run: async () => await removeHostInstance(instance),
  }));
  const steps = [...ofInstances, ...host.steps];
  const names = await readdir(dataDirectory).catch(() => undefined);
  if (names === undefined) return { steps, left: host.left };
  if (!deletesData) return { steps, left: [`the data folder ${dataDirectory} (--data deletes it)`, ...host.left] };
  // A folder that was named by mistake must not be deleted.
  if (!names.includes(recordsFileName) && !names.includes('templates') && names.length > 0)
    throw new SoulBoxError(
      'bad_request',
      `${dataDirectory} is not a data folder of SoulBox: it has no ${recordsFileName}.`,
    );
  const data: UndoStep = { what: `delete ${dataDirectory}`, run: async () => (await removeTree(dataDirectory), []) };
  return { steps: [...steps, data], left: host.left };
}

/** Undoes each step independently: a failure of one must not prevent the others. */
async function undo(steps: readonly UndoStep[]): Promise<string[]> {
  const failed: string[] = [];
  for (const { what, run } of steps) {
    try {
      failed.push(...(await run()));
    } catch (error) {
      failed.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return failed;
}

interface Report {
  readonly isDry: boolean;
  readonly done: readonly string[];
  readonly failed: readonly string[];
  readonly left: readonly string[];
}

function tell({ isDry, done, failed, left }: Report): void {
  if (done.length === 0) console.log('There is nothing to undo on this host.');
  else console.log([isDry ? 'This would be done:' : 'Done:', ...done.map((what) => `  ${what}`)].join('\n'));
  if (left.length > 0) console.log(['What stays:', ...left.map((what) => `  ${what}`)].join('\n'));
  if (failed.length > 0)
    console.error(['error: These changes could not be undone:', ...failed.map((what) => `  ${what}`)].join('\n'));
}
