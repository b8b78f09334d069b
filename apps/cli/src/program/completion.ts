import { defineCommand } from 'citty';
import { renderBash } from '../command-tree/bash.ts';
import { readCommandTree } from '../command-tree/command-tree.ts';
import { renderFish } from '../command-tree/fish.ts';
import { renderZsh } from '../command-tree/zsh.ts';
import { UsageError } from '../command-line/usage-error.ts';
import { program } from './program.ts';

const shells = { bash: renderBash, zsh: renderZsh, fish: renderFish } as const;
const shellNames = Object.keys(shells) as (keyof typeof shells)[];

export const completion = defineCommand({
  meta: {
    name: 'completion',
    description: 'Print a completion script for a shell: source <(soulbox completion bash)',
  },
  args: { shell: { type: 'positional', required: true, description: shellNames.join(', ') } },
  async run({ args }) {
    const shell = shellNames.find((name) => name === args.shell);
    if (shell === undefined)
      throw new UsageError(`SHELL must be ${shellNames.join(', ')}, not ${JSON.stringify(args.shell)}.`);
    process.stdout.write(shells[shell](await readCommandTree('soulbox', program)));
  },
});
