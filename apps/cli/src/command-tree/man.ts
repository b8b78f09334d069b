import { outputArgs } from '../command-line/shared-args.ts';
import type { CommandArgument, CommandNode } from './command-tree.ts';
import { flatten, formsOf } from './flatten.ts';
import type { FlatCommand } from './flatten.ts';

export interface ManPageOptions {
  readonly version: string;
  /** `YYYY-MM-DD`. */
  readonly date: string;
  readonly exitCodes: readonly (readonly [code: number, meaning: string])[];
}

/** The manual page soulbox(1), in the macros of man(7). */
export function renderManPage(tree: CommandNode, { version, date, exitCodes }: ManPageOptions): string {
  const commands = flatten(tree).filter(({ node }) => node.children.length === 0);
  return [
    `.TH SOULBOX 1 "${date}" "SoulBox ${version}" "User Commands"`,
    '.SH NAME',
    `soulbox \\- isolated sandboxes for untrusted code, on your own machine`,
    '.SH SYNOPSIS',
    '.B soulbox',
    '.I COMMAND',
    '[\\fIARGUMENTS\\fR]',
    '.SH DESCRIPTION',
    `${escaped(tree.description)}.`,
    'Commands that print data accept \\fB\\-\\-json\\fR.',
    'Commands that only read accept \\fB\\-\\-output\\fR \\fIFILE\\fR and \\fB\\-\\-overwrite\\fR.',
    'All accept \\fB\\-\\-data\\-dir\\fR.',
    'Each explains itself with \\fB\\-\\-help\\fR.',
    '.SH COMMANDS',
    ...commands.flatMap(sectionOf),
    '.SH EXIT STATUS',
    ...exitCodes.flatMap(([code, meaning]) => ['.TP', `.B ${code}`, escaped(meaning)]),
    '.SH ENVIRONMENT',
    '.TP',
    '.BR E2B_API_URL ,\\ E2B_API_KEY',
    'The server and the key, as the official clients read them.',
    '.TP',
    '.BR SOULBOX_CONTEXT ,\\ SOULBOX_OUTPUT ,\\ SOULBOX_RETRY_ATTEMPTS ,\\ NO_COLOR ,\\ FORCE_COLOR ,\\ CI ,\\ VISUAL ,\\ EDITOR',
    'Settings that come before those of \\fBsoulbox config\\fR and \\fBsoulbox context\\fR.',
    '.SH FILES',
    '.TP',
    '.I ~/.config/soulbox/',
    'Settings, contexts with their keys, and the sign\\-in of a person. XDG_CONFIG_HOME moves it.',
    '',
  ].join('\n');
}

/** Explained once. */
const isCommon = ({ name, description }: CommandArgument): boolean =>
  name === 'json' || name === 'data-dir' || Object.values(outputArgs).some((one) => one.description === description);

function sectionOf({ path, node }: FlatCommand): string[] {
  const positionals = node.args.filter(({ kind }) => kind === 'positional');
  const words = positionals.map(({ name, isRequired }) => (isRequired ? name : `[${name}]`).toUpperCase());
  return [
    `.SS "\\fB${escaped(path)}\\fR${words.map((word) => ` \\fI${escaped(word)}\\fR`).join('')}"`,
    `${escaped(node.description)}.`,
    ...node.args.filter((argument) => !isCommon(argument)).flatMap(entryOf),
    // Lines as they are, in the font of code.
    ...(node.examples.length === 0 ? [] : ['.PP', 'Examples:', '.PP', '.EX', ...node.examples.map(indented), '.EE']),
  ];
}

function entryOf(argument: CommandArgument): string[] {
  const { kind, name, valueHint, description } = argument;
  const value = kind === 'option' ? ` \\fI${escaped(valueHint ?? 'VALUE')}\\fR` : '';
  const term =
    kind === 'positional'
      ? `\\fI${escaped(name.toUpperCase())}\\fR`
      : formsOf(argument)
          .map((form) => `\\fB${escaped(form)}\\fR${value}`)
          .join(', ');
  return ['.TP', term, escaped(description)];
}

const indented = (line: string): string => `    ${escaped(line)}`;

/** A backslash, a hyphen, and a dot or quote at the beginning of a line mean something to roff. */
function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('"', '\\(dq')
    .replaceAll('\n', ' ')
    .replace(/^[.']/, String.raw`\&$&`);
}
