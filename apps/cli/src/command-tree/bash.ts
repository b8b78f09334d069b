import type { CommandNode } from './command-tree.ts';
import { flatten, formsOf, listFor, offerFor, optionsOf, quoted } from './flatten.ts';
import type { FlatCommand } from './flatten.ts';

/** A completion script for bash 4 and later. */
export function renderBash(tree: CommandNode): string {
  const commands = flatten(tree);
  return `# Completion of soulbox for bash. Use it with: source <(soulbox completion bash)
_soulbox_ids() {
  timeout 3 soulbox "$1" list --json 2>/dev/null | grep -o "\\"$2\\":\\"[^\\"]*\\"" | cut -d '"' -f 4
}

_soulbox() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} path=soulbox words='' i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path \${COMP_WORDS[i]}" in
${commands.slice(1).map(stepOf).join('\n')}
    esac
  done
  case "$path $previous" in
${commands.flatMap(valueCases).join('\n')}
  esac
  if [[ $current == -* ]]; then
    case "$path" in
${commands.map(optionCase).join('\n')}
    esac
  else
    case "$path" in
${commands.flatMap(wordCase).join('\n')}
      *)
        COMPREPLY=($(compgen -f -- "$current"))
        return
        ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o filenames -F _soulbox soulbox
`;
}

export const stepOf = ({ path }: FlatCommand): string => `      ${quoted(path)}) path=${quoted(path)} ;;`;

function valueCases({ path, node }: FlatCommand): string[] {
  return optionsOf(node)
    .filter(({ kind }) => kind === 'option')
    .map((option) => {
      const pattern = formsOf(option)
        .map((form) => quoted(`${path} ${form}`))
        .join(' | ');
      const offer = offerFor(option);
      const generate =
        offer.kind === 'words'
          ? `COMPREPLY=($(compgen -W ${quoted(offer.words.join(' '))} -- "$current"))`
          : offer.kind === 'files'
            ? 'COMPREPLY=($(compgen -f -- "$current"))'
            : ':';
      return `    ${pattern})\n      ${generate}\n      return\n      ;;`;
    });
}

const optionCase = ({ path, node }: FlatCommand): string =>
  `      ${quoted(path)}) words=${quoted([...optionsOf(node).flatMap(formsOf), '--help'].join(' '))} ;;`;

function wordCase({ path, node }: FlatCommand): string[] {
  if (node.children.length > 0)
    return [`      ${quoted(path)}) words=${quoted(node.children.map(({ name }) => name).join(' '))} ;;`];
  const list = listFor(node);
  return list === undefined ? [] : [`      ${quoted(path)}) words=$(_soulbox_ids ${list.noun} ${list.field}) ;;`];
}
