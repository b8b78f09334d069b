import { defineCommand } from 'citty';
import { jsonArg } from '../../command-line/shared-args.ts';
import { readContexts } from '../../login/contexts.ts';
import { printList } from '../../output/print-list.ts';
import { factsOf } from './shared.ts';

export const listContexts = defineCommand({
  meta: {
    name: 'list',
    description: 'List the contexts; a star marks the one that commands use',
    examples: ['soulbox context list'],
  },
  args: { json: jsonArg },
  async run({ args }) {
    const { current, byName } = await readContexts();
    const facts = [...byName].map(([name, context]) => factsOf(name, context, name === current));
    printList(
      facts,
      { ' ': ({ isUsed }) => (isUsed ? '*' : ''), NAME: ({ name }) => name, URL: ({ url }) => url },
      args,
    );
  },
});
