import type { Clock } from '@soulbox/base';
import type { Template } from '@soulbox/contract/runner';
import type { TeamRecord } from '@soulbox/storage';
import { callRunner } from './call.ts';
import type { Runner } from './client.ts';
import { defaultTag, isOwnNamespace, parseTemplateReference } from '../names/reference.ts';

/** How long a list of templates is reused. A new template is still found at once. Milliseconds. */
const freshMs = 1000;

/**
 * `remembered`: the list may have any age, because the runner reports to the user of the result that a template is gone
 * or renamed.
 */
export type ListAge = 'fresh' | 'remembered';

/** A template of the runner's store, which all teams may use. */
export interface StoreTemplate {
  readonly template: Template;
  /** The `alias` in lists: the name without namespace and tag; empty for a template without a name. */
  readonly alias: string;
  /** Whether it was found by its name and not by its id. */
  readonly isByName: boolean;
}

export interface TemplateCatalogue {
  list(): Promise<readonly Template[]>;
  /** Finds by id, `name`, `name:default` or `team/name` with the caller's own team (its name or id). */
  find(team: TeamRecord, reference: string, age?: ListAge): Promise<StoreTemplate | undefined>;
  /** Makes the next `find` ask the runner. */
  forget(): void;
  /** Whether a template of the store, or one that can be made, has this name or id. */
  isTaken(name: string): Promise<boolean>;
  /** Names of the server's own templates that do not exist yet. */
  makeable(): Promise<readonly string[]>;
}

/** Caches the runner's templates, so that a create does not wait for a second call. */
export function createTemplateCatalogue(runner: Runner, clock: Clock): TemplateCatalogue {
  let known: readonly Template[] = [];
  let makeable: readonly string[] = [];
  let readAt = Number.NEGATIVE_INFINITY;

  const read = async (): Promise<readonly Template[]> => {
    const answer = await callRunner((options) => runner.listTemplates({}, options));
    known = answer.templates;
    makeable = answer.makeable;
    readAt = clock.now();
    return known;
  };

  return {
    list: read,
    makeable: async () => {
      await read();
      return makeable;
    },
    find: async (team, reference, age = 'fresh') => {
      const isGood = age === 'remembered' || Math.abs(clock.now() - readAt) < freshMs;
      const found = isGood ? findIn(known, team, reference) : undefined;
      return found ?? findIn(await read(), team, reference);
    },
    forget: () => {
      known = [];
    },
    isTaken: async (name) =>
      (await read()).some((template) => template.templateId === name || template.names.includes(name)) ||
      makeable.includes(name),
  };
}

function findIn(templates: readonly Template[], team: TeamRecord, text: string): StoreTemplate | undefined {
  const parsed = parseTemplateReference(text);
  if (parsed === undefined) return undefined;
  const { namespace, name, tag } = parsed;
  // A template of the store has one build.
  if (tag !== undefined && tag !== defaultTag) return undefined;
  if (!isOwnNamespace(team, namespace)) return undefined;
  const named = templates.find((template) => template.names.includes(name));
  if (named !== undefined) return { template: named, alias: name, isByName: true };
  const identified = namespace === undefined ? templates.find((entry) => entry.templateId === name) : undefined;
  return identified && { template: identified, alias: identified.names[0] ?? '', isByName: false };
}
