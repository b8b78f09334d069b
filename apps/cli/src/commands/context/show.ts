import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { readContextName } from '../../config.ts';
import { jsonArg } from '../../command-line/shared-args.ts';
import { getContext, readContexts } from '../../login/contexts.ts';
import { renderFacts } from '../../output/facts.ts';
import { factsOf } from './shared.ts';

export const showContext = defineCommand({
  meta: {
    name: 'show',
    description: 'Show a context without its key',
    examples: ['soulbox context show', 'soulbox context show work --json'],
  },
  args: {
    name: { type: 'positional', required: false, description: 'Name of the context (default: the one in use)' },
    json: jsonArg,
  },
  async run({ args }) {
    const { current } = await readContexts();
    const name = args.name ?? readContextName() ?? current;
    if (name === undefined) throw new SoulBoxError('config_invalid', 'No context is in use.');
    const facts = factsOf(name, await getContext(name), name === (readContextName() ?? current));
    console.log(args.json === true ? JSON.stringify(facts) : renderFacts(facts));
  },
});
