import { randomId } from '@soulbox/base';
import type { Tenant } from '../registry/record.ts';
import type { BuildLog } from './build-log.ts';
import { openBuildSandbox } from './build-sandbox.ts';
import type { BuildSandbox } from './build-sandbox.ts';
import type { BuildSpec, StepContext } from './build-spec.ts';
import type { BuildContext } from './builds.ts';
import type { Base } from './find-base.ts';
import { createLayerStack } from './layer-stack.ts';
import { performStep } from './steps/perform-step.ts';
import type { Step } from './steps/step.ts';

/**
 * Build sandboxes may have more layers than tenants' ones. Each adds some 20 ms to a boot, but merging reads all of
 * them.
 */
const maxLayersOfSteps = 16;

export interface StepRunnerOptions {
  readonly spec: BuildSpec;
  readonly base: Base;
  readonly isolation: string;
  readonly log: BuildLog;
  readonly signal: AbortSignal;
}

/**
 * Runs the steps of one build, one after the other. Disposing it ends its remaining sandboxes. Layers that no record
 * names by then are garbage-collected.
 */
export interface StepRunner extends AsyncDisposable {
  readonly context: StepContext;
  readonly layers: readonly string[];
  /** Continues from what the cache has under the key. False when the cache has nothing, or only something damaged. */
  takeCached(key: string): Promise<boolean>;
  perform(key: string, step: Step, name: string): Promise<void>;
  /**
   * Merges the layers if there are many, for a result that is kept. More steps can follow, and are cached as before.
   */
  shorten(): Promise<void>;
  /** Boots a sandbox on the present layers, with settings of its own. It ends with the step runner. */
  open(settings: Tenant['settings']): Promise<BuildSandbox>;
  /** Keeps a checkpoint and layers until the step runner is disposed. */
  hold(checkpointId: string, layers: readonly string[]): void;
  /** MiB of the disk of sandboxes. */
  diskMb(): Promise<number>;
}

export function openStepRunner(context: BuildContext, options: StepRunnerOptions): StepRunner {
  const { spec, base, log, signal } = options;
  const { cache, files } = context.builds;
  const stack = createLayerStack(context, base.layers);
  const sandboxes = new Set<BuildSandbox>();
  let stepContext = base.context;
  /** Where steps run: one sandbox until a step has changed its disk. */
  let current: BuildSandbox | undefined;

  const diskMb = async (): Promise<number> =>
    spec.minFreeDiskMb === 0 ? base.diskMb : Math.max(base.diskMb, spec.minFreeDiskMb + (await stack.usedMb()));
  const open = async (settings: Tenant['settings']): Promise<BuildSandbox> => {
    signal.throwIfAborted();
    const wanted = { ...sandboxOptionsOf(options), layers: stack.layers(), diskMb: await diskMb() };
    const sandbox = await openBuildSandbox(context, wanted, settings);
    sandboxes.add(sandbox);
    return sandbox;
  };
  const close = async (sandbox: BuildSandbox): Promise<void> => {
    await sandbox.end();
    sandboxes.delete(sandbox);
  };
  const openForStep = async (): Promise<BuildSandbox> => {
    if (current === undefined && stack.layers().length >= maxLayersOfSteps) await stack.shorten(maxLayersOfSteps);
    current ??= await open(stepSettings(base, stepContext));
    return current;
  };
  /** Memory that steps leave behind is not part of a build. */
  const leave = async (): Promise<void> => {
    if (current !== undefined) await close(current);
    current = undefined;
  };
  const takeLayer = async (): Promise<void> => {
    const layerId = randomId(20);
    stack.keep(layerId);
    const sandbox = await openForStep();
    current = undefined;
    await sandbox.takeLayer(layerId);
    stack.push(layerId);
    // Nothing waits for the removal of its mounts and interface.
    void close(sandbox);
  };

  return {
    get context() {
      return stepContext;
    },
    get layers() {
      return stack.layers();
    },
    async takeCached(key) {
      const cached = cache.find(key, 'step');
      if (cached === undefined) return false;
      stack.keep(...cached.layers);
      if (!(await areWhole(context, key, cached.layers))) return false;
      await leave();
      stack.replace(cached.layers);
      stepContext = cached.context;
      return true;
    },
    async perform(key, step, name) {
      const programs = async () => (await openForStep()).programs;
      const tools = { context: stepContext, output: log.openOutput(name), blobs: files, signal, programs };
      const done = await performStep(tools, step);
      stepContext = done.context;
      if (done.changed) await takeLayer();
      const entry = { kind: 'step' as const, layers: [...stack.layers()], context: stepContext };
      stack.afterSealing(async () => await cache.write(key, entry));
    },
    async shorten() {
      await leave();
      await stack.shorten();
    },
    open,
    hold: stack.hold.bind(stack),
    diskMb,
    async [Symbol.asyncDispose]() {
      await Promise.all([...sandboxes].map(close));
      await stack[Symbol.asyncDispose]();
    },
  };
}

function sandboxOptionsOf({ spec, base, isolation }: StepRunnerOptions) {
  const { teamId, cpuCount, memoryMb } = spec;
  return { template: base.template, isolation, teamId, cpuCount, memoryMb };
}

function stepSettings({ environment }: Base, { user }: StepContext): Tenant['settings'] {
  return { envVars: { ...environment, E2B_SANDBOX: 'true' }, defaultUser: user, defaultWorkdir: '' };
}

/** A cached step with a damaged layer is removed from the cache. */
async function areWhole({ host, builds }: BuildContext, key: string, layers: readonly string[]): Promise<boolean> {
  try {
    await Promise.all(layers.map(async (layerId) => await host.checkpoints.verifyLayer(layerId)));
    return true;
  } catch (err) {
    host.logger.warn({ key, err }, 'cached step cannot be used');
    await builds.cache.remove(key);
    return false;
  }
}
