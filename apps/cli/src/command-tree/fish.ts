import type { CommandArgument, CommandNode } from './command-tree.ts';
import { flatten, listFor, offerFor, optionsOf } from './flatten.ts';
import type { FlatCommand } from './flatten.ts';

/** A completion script for fish 3 and later, with descriptions. */
export function renderFish(tree: CommandNode): string {
  const commands = flatten(tree);
  return `# Completion of soulbox for fish. Use it with: soulbox completion fish | source
function __soulbox_at
    set -l path soulbox
    for word in (commandline -opc)[2..-1]
        switch "$path $word"
${commands.slice(1).map(stepOf).join('\n')}
        end
    end
    test "$path" = "$argv"
end

function __soulbox_ids
    timeout 3 soulbox $argv[1] list --json 2>/dev/null | string match -ag --regex "\\"$argv[2]\\":\\"([^\\"]*)\\""
end

complete -c soulbox -f
${commands.flatMap(linesOf).join('\n')}
`;
}

const stepOf = ({ path }: FlatCommand): string =>
  `            case ${quotedForFish(path)}\n                set path ${quotedForFish(path)}`;

function linesOf({ path, node }: FlatCommand): string[] {
  const begin = `complete -c soulbox -n ${quotedForFish(`__soulbox_at ${path}`)}`;
  const list = listFor(node);
  return [
    ...node.children.map(
      ({ name, description }) => `${begin} -a ${quotedForFish(name)} -d ${quotedForFish(description)}`,
    ),
    ...(list === undefined ? [] : [`${begin} -a ${quotedForFish(`(__soulbox_ids ${list.noun} ${list.field})`)}`]),
    // A command with arguments of another kind may take files.
    ...(node.children.length === 0 && list === undefined && node.args.some(({ kind }) => kind === 'positional')
      ? [`${begin} -F`]
      : []),
    ...optionsOf(node).map((option) => `${begin} ${optionOf(option)}`),
  ];
}

function optionOf(option: CommandArgument): string {
  const { name, aliases, kind, description } = option;
  const short = aliases.filter((alias) => alias.length === 1).map((alias) => `-s ${alias}`);
  const offer = offerFor(option);
  const value =
    kind === 'switch'
      ? []
      : offer.kind === 'words'
        ? [`-x -a ${quotedForFish(offer.words.join(' '))}`]
        : [offer.kind === 'files' ? '-r -F' : '-x'];
  return [`-l ${name}`, ...short, ...value, `-d ${quotedForFish(description)}`].join(' ');
}

/** In single quotes of fish, a backslash escapes itself and the quote. */
function quotedForFish(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", String.raw`\'`)}'`;
}
