import type { CommandArgument, CommandNode } from './command-tree.ts';
import { flatten, formsOf, listFor, offerFor, optionsOf, quoted, stepOf, valueCases } from './flatten.ts';
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
${commands.flatMap((command) => valueCases(command, generate)).join('\n')}
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

/** How bash completes the value of an option. */
function generate(option: CommandArgument): string {
  const offer = offerFor(option);
  if (offer.kind === 'words') return `COMPREPLY=($(compgen -W ${quoted(offer.words.join(' '))} -- "$current"))`;
  return offer.kind === 'files' ? 'COMPREPLY=($(compgen -f -- "$current"))' : ':';
}

const optionCase = ({ path, node }: FlatCommand): string =>
  `      ${quoted(path)}) words=${quoted([...optionsOf(node).flatMap(formsOf), '--help'].join(' '))} ;;`;

function wordCase({ path, node }: FlatCommand): string[] {
  if (node.children.length > 0)
    return [`      ${quoted(path)}) words=${quoted(node.children.map(({ name }) => name).join(' '))} ;;`];
  const list = listFor(node);
  return list === undefined ? [] : [`      ${quoted(path)}) words=$(_soulbox_ids ${list.noun} ${list.field}) ;;`];
}
