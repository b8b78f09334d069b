import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import type { OutsidePolicy } from '@soulbox/network/outside';
import type { TemplateStore } from '@soulbox/templates';
import type { RunnerConfig } from '../config.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import type { TemplateMaker } from '../templates/maker.ts';
import type { HostRoom } from '../disk-budget/host-work.ts';
import type { BlobReader } from './blob-reader.ts';
import type { LayerCache } from './cache/layer-cache.ts';
import { createImageStore } from './images/image-store.ts';
import type { ImageStore } from './images/image-store.ts';

/** State that all builds of a host share. Disposing waits until running builds have ended. */
export interface Builds extends AsyncDisposable {
  readonly cache: LayerCache;
  readonly images: ImageStore;
  readonly files: BlobReader;
  /**
   * Runs a build if the limit allows one more. Throws `too_many_builds`. `signal` aborts when the server stops or time
   * is up.
   */
  run<T>(build: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** Keeps the root of an image from being removed until disposed. */
  holdTemplate(templateId: string): Disposable;
  isHeld(templateId: string): boolean;
}

export interface BuildContext extends OperationContext {
  readonly builds: Builds;
  /** Makes missing built-in templates. */
  readonly maker: Pick<TemplateMaker, 'make'>;
}

export interface BuildsOptions {
  readonly config: RunnerConfig;
  readonly cache: LayerCache;
  readonly templates: TemplateStore;
  readonly files: BlobReader;
  readonly outside: OutsidePolicy;
  readonly disks: HostRoom;
  readonly dataDirectory: string;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly stopping: AbortSignal;
}

export function createBuilds(options: BuildsOptions): Builds {
  const { config, cache, templates, files, outside, disks, dataDirectory, logger, stopping } = options;
  const { maxBuilds, buildTimeoutMinutes } = config;
  const directory = join(dataDirectory, 'run', 'images');
  const underWay = new Set<Promise<unknown>>();
  const held: string[] = [];
  const images = createImageStore({ ...config, outside, disks, templates, cache, directory, logger });
  return {
    cache,
    files,
    images,
    async run(build) {
      if (underWay.size >= maxBuilds)
        throw new SoulBoxError(
          'too_many_builds',
          `The host has reached its limit of ${maxBuilds} concurrent builds. Retry later.`,
        );
      const time = AbortSignal.timeout(buildTimeoutMinutes * 60_000);
      const running = build(AbortSignal.any([stopping, time]));
      const ended = running.catch(() => undefined);
      underWay.add(ended);
      try {
        return await running;
      } finally {
        underWay.delete(ended);
      }
    },
    holdTemplate(templateId) {
      held.push(templateId);
      return { [Symbol.dispose]: () => void held.splice(held.indexOf(templateId), 1) };
    },
    isHeld: (templateId) => held.includes(templateId),
    async [Symbol.asyncDispose]() {
      await Promise.all(underWay);
      await images[Symbol.asyncDispose]();
    },
  };
}
