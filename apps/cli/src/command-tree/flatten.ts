import type { CommandArgument, CommandNode } from './command-tree.ts';

/** A command with its whole name, such as `soulbox sandbox create`. */
export interface FlatCommand {
  readonly path: string;
  readonly node: CommandNode;
}

/** All commands and groups, parents first. */
export function flatten(node: CommandNode, path: string = node.name): FlatCommand[] {
  return [{ path, node }, ...node.children.flatMap((child) => flatten(child, `${path} ${child.name}`))];
}

/** The forms in which an option is written: `--follow`, `-f`. */
export function formsOf({ name, aliases }: CommandArgument): string[] {
  return [`--${name}`, ...aliases.map((alias) => (alias.length === 1 ? `-${alias}` : `--${alias}`))];
}

export const optionsOf = ({ args }: CommandNode): CommandArgument[] => args.filter(({ kind }) => kind !== 'positional');

/** What the shell offers for a value. */
export type Offer = { readonly kind: 'words'; readonly words: readonly string[] } | { readonly kind: 'files' | 'none' };

const pathHints = new Set(['DIR', 'FILE', 'PATH']);

export function offerFor({ choices, valueHint }: CommandArgument): Offer {
  if (choices.length > 0) return { kind: 'words', words: choices };
  return { kind: pathHints.has(valueHint ?? '') ? 'files' : 'none' };
}

/** The list command and the field of its JSON that name what a positional argument may be. */
const lists: Readonly<Record<string, { readonly noun: string; readonly field: string }>> = {
  sandbox: { noun: 'sandbox', field: 'sandboxID' },
  snapshot: { noun: 'snapshot', field: 'snapshotID' },
};

/** Undefined: the ids of no list fit the arguments of the command. */
export function listFor({ args }: CommandNode): { readonly noun: string; readonly field: string } | undefined {
  const positionals = args.filter(({ kind }) => kind === 'positional');
  return positionals.map(({ name }) => lists[name]).find((list) => list !== undefined);
}

/** Text in single quotes, as POSIX shells and zsh read it. */
export const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;

// What follows is the same in the scripts of bash and zsh.

/** A case that adds a word of the line to the name of the command. */
export const stepOf = ({ path }: FlatCommand): string => `      ${quoted(path)}) path=${quoted(path)} ;;`;

/** A case for each option with a value: `generate` returns the command that offers its values. */
export function valueCases({ path, node }: FlatCommand, generate: (option: CommandArgument) => string): string[] {
  return optionsOf(node)
    .filter(({ kind }) => kind === 'option')
    .map((option) => {
      const patterns = formsOf(option).map((form) => quoted(`${path} ${form}`));
      return `    ${patterns.join(' | ')})\n      ${generate(option)}\n      return\n      ;;`;
    });
}
