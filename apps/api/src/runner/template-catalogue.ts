import type { Clock } from '@soulbox/base';
import type { Template } from '@soulbox/contract/runner';
import type { TeamRecord } from '@soulbox/storage';
import { callRunner } from './call.ts';
import type { Runner } from './client.ts';
import { defaultTag, isOwnNamespace, parseTemplateReference } from '../names/reference.ts';

/** How long a list of templates is good for creates; a new template is found at once all the same. Milliseconds. */
const freshMs = 1000;

/** A template of the runner's store, which all teams may use. */
export interface StoreTemplate {
  readonly template: Template;
  /** What lists show as `alias`: the name without namespace and tag; empty for a template without a name. */
  readonly alias: string;
}

export interface TemplateCatalogue {
  list(): Promise<readonly Template[]>;
  /** By id, `name`, `name:default` or `team/name` with the caller's own team (its name or id). */
  find(team: TeamRecord, reference: string): Promise<StoreTemplate | undefined>;
  /** Whether a template of the store has this name or id, or one that can be made would have it. */
  isTaken(name: string): Promise<boolean>;
  /** Names of the server's own templates that are not there yet. */
  makeable(): Promise<readonly string[]>;
}

/** The runner's templates, remembered for a second: a create must not wait for a second call. */
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
    find: async (team, reference) => {
      const fresh = Math.abs(clock.now() - readAt) < freshMs;
      const found = fresh ? findIn(known, team, reference) : undefined;
      return found ?? findIn(await read(), team, reference);
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
  // What stands in the store has one build.
  if (tag !== undefined && tag !== defaultTag) return undefined;
  if (!isOwnNamespace(team, namespace)) return undefined;
  const named = templates.find((template) => template.names.includes(name));
  if (named !== undefined) return { template: named, alias: name };
  const identified = namespace === undefined ? templates.find((entry) => entry.templateId === name) : undefined;
  return identified === undefined ? undefined : { template: identified, alias: identified.names[0] ?? '' };
}
