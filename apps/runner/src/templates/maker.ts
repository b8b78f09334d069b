import { sleepUnlessAborted, SoulBoxError } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import { makeTemplate } from '@soulbox/templates';
import type { Recipe, Template, TemplateStore } from '@soulbox/templates';
import { whileRoom } from '../disk-budget/host-work.ts';
import type { HostRoom } from '../disk-budget/host-work.ts';
import type { Background } from '../background.ts';

/** Progress of a template that is being made. */
export interface Making {
  /** The current step in a few words. */
  readonly step: string;
  readonly elapsedMs: number;
}

/** Makes missing built-in templates on request. */
export interface TemplateMaker {
  /** Names of recipes without a template. */
  makeable(): Promise<string[]>;
  /**
   * The template with this name. A missing one is made. If it is not ready within `waitMs`, the progress is returned
   * and making it continues. Throws `template_not_found` for a name without a recipe, and the errors of `makeTemplate`.
   */
  make(name: string, waitMs: number): Promise<Template | Making>;
}

interface MakerOptions {
  readonly store: TemplateStore;
  readonly recipes: readonly Recipe[];
  readonly disks: HostRoom;
  readonly background: Background;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Underway {
  step: string;
  readonly startedAtMs: number;
  readonly done: Promise<Template>;
}

export function createTemplateMaker(options: MakerOptions): TemplateMaker {
  const { store, recipes, disks, background, clock, logger } = options;
  const underway = new Map<string, Underway>();

  // One at a time, because each unpacks a complete system with all the disk and CPU that it can get.
  let before: Promise<unknown> = Promise.resolve();

  const begin = (recipe: Recipe): Underway => {
    const { promise, resolve, reject } = Promise.withResolvers<Template>();
    const making: Underway = { step: 'waiting for another template', startedAtMs: clock.now(), done: promise };
    underway.set(recipe.name, making);
    // No caller may be waiting any more when it fails. The failure is logged.
    const mine = promise.catch(() => undefined);
    const turn = before;
    before = mine;
    background.start(async (signal) => {
      const onProgress = (step: string): void => {
        making.step = step;
      };
      try {
        await turn;
        signal.throwIfAborted();
        const made = { what: `Building the template "${recipe.name}"`, signal };
        resolve(
          await whileRoom(disks, made, async (signal) => {
            return await makeTemplate(store, recipe, { logger, onProgress, signal });
          }),
        );
      } catch (err) {
        logger.error({ template: recipe.name, step: making.step, err }, 'template could not be created');
        reject(err);
      } finally {
        underway.delete(recipe.name);
      }
    });
    return making;
  };

  return {
    async makeable() {
      const made = new Set((await store.list()).flatMap(({ names }) => names));
      return recipes.map(({ name }) => name).filter((name) => !made.has(name));
    },
    async make(name, waitMs) {
      const present = await store.find(name);
      if (present !== undefined) return present;
      const recipe = recipes.find((one) => one.name === name);
      if (recipe === undefined) {
        throw new SoulBoxError('template_not_found', `SoulBox has no recipe for a template "${name.slice(0, 128)}".`);
      }
      const making = underway.get(name) ?? begin(recipe);
      const patience = new AbortController();
      const over = sleepUnlessAborted(waitMs, patience.signal).catch(() => undefined);
      const template = await Promise.race([making.done, over]).finally(() => {
        patience.abort();
      });
      return template ?? { step: making.step, elapsedMs: clock.now() - making.startedAtMs };
    },
  };
}
