import { stat } from 'node:fs/promises';
import { randomId } from '@soulbox/base';
import type { Tenant } from '../registry/record.ts';
import { shortenChain } from '../operations/layers/shorten-chain.ts';
import type { BuildLog } from './build-log.ts';
import { openBuildSandbox } from './build-sandbox.ts';
import type { BuildSandbox } from './build-sandbox.ts';
import type { BuildSpec, StepContext } from './build-spec.ts';
import type { BuildContext } from './builds.ts';
import type { Base } from './find-base.ts';
import { performStep } from './steps/perform-step.ts';
import type { Step } from './steps/step.ts';

/** Sandboxes of a build may lie on more layers than those of tenants: each takes some 20 ms of a boot, merging them reads them all. */
const maxLayersOfSteps = 16;

export interface StepRunnerOptions {
  readonly spec: BuildSpec;
  readonly base: Base;
  readonly isolation: string;
  readonly log: BuildLog;
  readonly signal: AbortSignal;
}

/**
 * Where the steps of one build are done, one after the other. Disposing it ends what is left of its sandboxes; layers that no
 * record names by then are collected.
 */
export interface StepRunner extends AsyncDisposable {
  readonly context: StepContext;
  readonly layers: readonly string[];
  /** Goes on from what the cache has under the key; false when it has nothing, or what it has is damaged. */
  takeCached(key: string): Promise<boolean>;
  perform(key: string, step: Step, name: string): Promise<void>;
  /** Makes one layer of too many, for what is to last. Steps can still be done, and are cached as before. */
  shorten(): Promise<void>;
  /** A sandbox on what the steps have left, with settings of its own. It is ended with the stepRunner. */
  open(settings: Tenant['settings']): Promise<BuildSandbox>;
  /** Keeps a state and layers until the stepRunner is disposed. */
  hold(stateId: string, layers: readonly string[]): void;
  /** MiB of the disk of sandboxes. */
  diskMb(): Promise<number>;
}

export function openStepRunner(context: BuildContext, options: StepRunnerOptions): StepRunner {
  const { spec, base, isolation, log, signal } = options;
  const { host, builds, references } = context;
  const held = { states: [] as string[], layers: [...base.layers] };
  const holding = references.hold(held);
  const sandboxes = new Set<BuildSandbox>();
  /** Digests of layers, and then their entries in the cache: the next step does not wait for them. */
  const sealing: Promise<void>[] = [];
  let layers = base.layers;
  let stepContext = base.context;
  let current: BuildSandbox | undefined;

  const track = (work: Promise<void>): void => {
    // Whoever waits for all of them learns of it.
    work.catch(() => undefined);
    sealing.push(work);
  };
  const shortenTo = async (maxLayers?: number): Promise<void> => {
    await settle();
    using chain = await shortenChain(context, layers, maxLayers);
    layers = chain.below(layers);
    held.layers.push(...layers);
  };
  const settle = async (): Promise<void> => {
    await Promise.all(sealing.splice(0));
  };
  const diskMb = async (): Promise<number> => {
    if (spec.minFreeDiskMb === 0) return base.diskMb;
    const stats = await Promise.all(layers.map(async (layerId) => await stat(host.states.layerPath(layerId))));
    const usedMb = Math.ceil(stats.reduce((sum, { blocks }) => sum + blocks * 512, 0) / 2 ** 20);
    return Math.max(base.diskMb, spec.minFreeDiskMb + usedMb);
  };
  const open = async (settings: Tenant['settings']): Promise<BuildSandbox> => {
    signal.throwIfAborted();
    const { teamId, cpuCount, memoryMb } = spec;
    const options = { template: base.template, isolation, layers, teamId, cpuCount, memoryMb, diskMb: await diskMb() };
    const sandbox = await openBuildSandbox(context, options, settings);
    sandboxes.add(sandbox);
    return sandbox;
  };
  const close = async (sandbox: BuildSandbox): Promise<void> => {
    await sandbox.end();
    sandboxes.delete(sandbox);
  };
  /** Where steps run: one sandbox until a step has changed its disk. */
  const openForStep = async (): Promise<BuildSandbox> => {
    if (current !== undefined) return current;
    if (layers.length >= maxLayersOfSteps) await shortenTo(maxLayersOfSteps);
    const { user } = stepContext;
    current = await open({
      envVars: { ...base.environment, E2B_SANDBOX: 'true' },
      defaultUser: user,
      defaultWorkdir: '',
    });
    return current;
  };
  /** What steps have left in memory is not part of a build. */
  const leave = async (): Promise<void> => {
    if (current !== undefined) await close(current);
    current = undefined;
  };
  const freeze = async (): Promise<string> => {
    const layerId = randomId(20);
    held.layers.push(layerId);
    const sandbox = await openForStep();
    current = undefined;
    await sandbox.takeLayer(layerId);
    layers = [layerId, ...layers];
    track(host.states.sealLayer(layerId));
    // Nobody waits for its mounts and interface to go.
    void close(sandbox);
    return layerId;
  };
  const remember = (key: string): void => {
    const entry = { kind: 'step' as const, layers: [...layers], context: stepContext };
    const sealed = Promise.all([...sealing]);
    track(sealed.then(async () => await builds.cache.write(key, entry)));
  };

  return {
    get context() {
      return stepContext;
    },
    get layers() {
      return layers;
    },
    async takeCached(key) {
      const cached = builds.cache.find(key, 'step');
      if (cached === undefined) return false;
      held.layers.push(...cached.layers);
      try {
        await Promise.all(cached.layers.map(async (layerId) => await host.states.verifyLayer(layerId)));
      } catch (err) {
        host.logger.warn({ key, err }, 'cached step cannot be used');
        await builds.cache.remove(key);
        return false;
      }
      await leave();
      layers = cached.layers;
      stepContext = cached.context;
      return true;
    },
    async perform(key, step, name) {
      const programs = async () => (await openForStep()).programs;
      const output = log.openOutput(name);
      const tools = { context: stepContext, output, blobs: builds.files, signal, programs };
      const done = await performStep(tools, step);
      stepContext = done.context;
      if (done.changed) await freeze();
      remember(key);
    },
    async shorten() {
      await leave();
      await shortenTo();
    },
    open,
    hold(stateId, layerIds) {
      held.states.push(stateId);
      held.layers.push(...layerIds);
    },
    diskMb,
    async [Symbol.asyncDispose]() {
      await Promise.all([...sandboxes].map(close));
      await Promise.allSettled(sealing);
      holding[Symbol.dispose]();
      context.background.start(async () => await references.collect());
    },
  };
}
