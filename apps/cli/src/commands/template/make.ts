import { availableParallelism } from 'node:os';
import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { createLogger } from '@soulbox/base/logger';
import { recipes } from '@soulbox/box/recipes';
import { ensureTemplate, makeTemplate, openTemplateStore } from '@soulbox/templates';
import type { Recipe, Template, TemplateStore } from '@soulbox/templates';
import { resolveFolders } from '../../config.ts';
import { createProgress } from '../../output/progress.ts';
import { renderTable } from '../../output/table.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { sideBySide } from './side-by-side.ts';

export const make = defineCommand({
  meta: {
    name: 'make',
    description: "Build one of SoulBox's own templates from Debian packages; without a name: list them",
    examples: ['sudo soulbox template make', 'sudo soulbox template make desktop'],
  },
  args: {
    name: { type: 'positional', required: false, description: 'base, desktop, ...' },
    all: { type: 'boolean', description: 'Build all that do not exist yet' },
    force: { type: 'boolean', description: 'Replace the existing one; its sandboxes keep the old one' },
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const store = openTemplateStore(resolveFolders(args['data-dir']).templatesDirectory);
    await store.sweep();
    const wanted = args.all === true ? recipes : args.name === undefined ? [] : [findRecipe(args.name)];
    const made = await makeAll(store, wanted, args.force === true);
    if (wanted.length === 0) await list(store, args.json === true);
    else if (args.json === true) console.log(JSON.stringify(args.all === true ? made : made[0]));
    else for (const { templateId, names } of made) console.log(`${templateId}  ${names.join(', ')}`);
  },
});

function findRecipe(name: string): Recipe {
  const recipe = recipes.find((one) => one.name === name);
  if (recipe !== undefined) return recipe;
  const names = recipes.map((one) => one.name).join(', ');
  throw new SoulBoxError('template_not_found', `SoulBox has no recipe for a template "${name}". It has: ${names}.`);
}

/** A failure does not stop the others and is reported immediately. */
async function makeAll(store: TemplateStore, wanted: readonly Recipe[], replace: boolean): Promise<Template[]> {
  const isAlone = wanted.length === 1;
  return await sideBySide(wanted, availableParallelism(), async (recipe) => {
    try {
      return await makeWithProgress(store, recipe, { replace, isAlone });
    } catch (error) {
      if (!isAlone) console.error(`Template "${recipe.name}" could not be built.`);
      throw error;
    }
  });
}

interface MakeOptions {
  readonly replace: boolean;
  /** False when others write to the terminal at the same time. */
  readonly isAlone: boolean;
}

async function makeWithProgress(
  store: TemplateStore,
  recipe: Recipe,
  { replace, isAlone }: MakeOptions,
): Promise<Template> {
  using progress = createProgress(`Building the template ${recipe.name}:`, { isAlone });
  return await (replace ? makeTemplate : ensureTemplate)(store, recipe, {
    replace,
    logger: createLogger({ level: 'warn' }),
    onProgress: (step) => progress.step(step),
  });
}

async function list(store: TemplateStore, json: boolean): Promise<void> {
  const rows = await Promise.all(
    recipes.map(async ({ name, description }) => ({ name, description, made: (await store.find(name)) !== undefined })),
  );
  if (json) console.log(JSON.stringify(rows));
  else
    console.log(
      renderTable(
        ['NAME', 'MADE', 'CONTENTS'],
        rows.map(({ name, made, description }) => [name, made ? 'yes' : 'no', description]),
      ),
    );
}
