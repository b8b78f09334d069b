import { defineCommand } from 'citty';
import { jsonArg } from '../../command-line/shared-args.ts';
import { getContext, readContexts, writeContexts } from '../../login/contexts.ts';
import { contextNameArg } from './shared.ts';

export const deleteContext = defineCommand({
  meta: {
    name: 'delete',
    description: 'Forget a context with its key; the key stays valid at the server',
    examples: ['soulbox context delete work', 'soulbox context delete work --json'],
  },
  args: { name: contextNameArg, json: jsonArg },
  async run({ args }) {
    const { name } = args;
    await getContext(name);
    const { current, byName } = await readContexts();
    const rest = new Map([...byName].filter(([other]) => other !== name));
    await writeContexts({ current: current === name ? undefined : current, byName: rest });
    console.log(args.json === true ? JSON.stringify({ deleted: name }) : `Deleted the context ${name}.`);
  },
});
