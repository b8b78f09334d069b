import type { ArgsDef, CommandDef } from 'citty';
import { withSharedArgs } from '../command-line/shared-args.ts';

declare module 'citty' {
  interface CommandMeta {
    /** Command lines as typed into a shell, the most common one first. */
    readonly examples?: readonly string[];
  }
}

/** A command or a group of commands, as help, documentation and completion show it. */
export interface CommandNode {
  readonly name: string;
  readonly description: string;
  /** Empty for a group. */
  readonly examples: readonly string[];
  /** In the order in which they are defined. */
  readonly args: readonly CommandArgument[];
  /** Empty for a command that does something itself. */
  readonly children: readonly CommandNode[];
}

export interface CommandArgument {
  readonly name: string;
  /** `switch`: an option without a value. */
  readonly kind: 'positional' | 'option' | 'switch';
  readonly aliases: readonly string[];
  readonly isRequired: boolean;
  readonly description: string;
  readonly valueHint: string | undefined;
  /** The values of an option that takes one of a few words. */
  readonly choices: readonly string[];
}

/** Loads every command. */
export async function readCommandTree(name: string, command: CommandDef): Promise<CommandNode> {
  const subCommands = Object.entries((await resolved(command.subCommands)) ?? {});
  const { description = '', examples = [] } = (await resolved(command.meta)) ?? {};
  return {
    name,
    description,
    examples,
    args: Object.entries(withSharedArgs((await resolved(command.args)) ?? {}, name)).map(argumentOf),
    children: await Promise.all(
      subCommands.map(async ([child, lazy]) => await readCommandTree(child, (await resolved(lazy)) as CommandDef)),
    ),
  };
}

function argumentOf([name, definition]: [string, ArgsDef[string]]): CommandArgument {
  const { type = 'string', description = '', required, valueHint } = definition;
  const alias = 'alias' in definition ? (definition.alias ?? []) : [];
  return {
    name,
    kind: type === 'positional' ? 'positional' : type === 'boolean' ? 'switch' : 'option',
    aliases: typeof alias === 'string' ? [alias] : [...alias],
    isRequired: required ?? type === 'positional',
    description,
    valueHint,
    choices: valueHint !== undefined && /^[a-z0-9-]+(\|[a-z0-9-]+)+$/.test(valueHint) ? valueHint.split('|') : [],
  };
}

/** citty allows values, promises, and functions that return either. */
export async function resolved<T>(
  value: T | Promise<T> | (() => T) | (() => Promise<T>) | undefined,
): Promise<T | undefined> {
  return await (typeof value === 'function' ? (value as () => T | Promise<T>)() : value);
}
