import { defineCommand } from 'citty';
import { jsonArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { getContext, readContexts, writeContexts } from '../../login/contexts.ts';

export const applyContext = defineCommand({
  meta: {
    name: 'use',
    description: 'Choose the context that commands use where nothing else names a server',
    examples: ['soulbox context use work', 'soulbox context use'],
  },
  args: {
    name: { type: 'positional', required: false, description: 'Name of the context' },
    none: { type: 'boolean', description: 'Use no context' },
    json: jsonArg,
  },
  async run({ args }) {
    const { name } = args;
    if ((name === undefined) === (args.none !== true)) throw new UsageError('Give either NAME or --none.');
    if (name !== undefined) await getContext(name);
    await writeContexts({ ...(await readContexts()), current: name });
    if (args.json === true) console.log(JSON.stringify({ current: name ?? null }));
    else console.log(name === undefined ? 'Commands use no context.' : `Commands use the context ${name}.`);
  },
});
