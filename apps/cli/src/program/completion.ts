import { defineCommand } from 'citty';
import type { CommandDef } from 'citty';
import { renderBash } from '../command-tree/bash.ts';
import { readCommandTree } from '../command-tree/command-tree.ts';
import { renderFish } from '../command-tree/fish.ts';
import { renderZsh } from '../command-tree/zsh.ts';
import { UsageError } from '../command-line/usage-error.ts';

const shells = { bash: renderBash, zsh: renderZsh, fish: renderFish } as const;
const shellNames = Object.keys(shells) as (keyof typeof shells)[];

const ownArgs = { shell: { type: 'positional', required: true, description: shellNames.join(', ') } } as const;

/** The command that prints completion scripts for the commands of `program`. */
export function completionOf(program: CommandDef): CommandDef<typeof ownArgs> {
  return defineCommand({
    meta: {
      name: 'completion',
      description: 'Print a completion script for a shell: source <(soulbox completion bash)',
      examples: [
        'source <(soulbox completion bash)',
        'soulbox completion fish > ~/.config/fish/completions/soulbox.fish',
      ],
    },
    args: ownArgs,
    async run({ args }) {
      const shell = shellNames.find((name) => name === args.shell);
      if (shell === undefined)
        throw new UsageError(`SHELL must be ${shellNames.join(', ')}, not ${JSON.stringify(args.shell)}.`);
      process.stdout.write(shells[shell](await readCommandTree('soulbox', program)));
    },
  });
}
