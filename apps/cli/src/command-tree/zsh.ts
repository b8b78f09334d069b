import type { CommandArgument, CommandNode } from './command-tree.ts';
import { flatten, formsOf, listFor, offerFor, optionsOf, quoted, stepOf, valueCases } from './flatten.ts';
import type { FlatCommand } from './flatten.ts';

/** A completion script for zsh 5 and later, with descriptions. */
export function renderZsh(tree: CommandNode): string {
  const commands = flatten(tree);
  return `#compdef soulbox
# Completion of soulbox for zsh. Use it with: source <(soulbox completion zsh)
_soulbox_ids() {
  timeout 3 soulbox "$1" list --json 2>/dev/null | grep -o "\\"$2\\":\\"[^\\"]*\\"" | cut -d '"' -f 4
}

_soulbox() {
  local path=soulbox i
  local -a commands options ids
  for ((i = 2; i < CURRENT; i++)); do
    case "$path $words[i]" in
${commands.slice(1).map(stepOf).join('\n')}
    esac
  done
  case "$path $words[CURRENT-1]" in
${commands.flatMap((command) => valueCases(command, generate)).join('\n')}
  esac
  if [[ $words[CURRENT] == -* ]]; then
    case "$path" in
${commands.map(optionCase).join('\n')}
    esac
    _describe -o option options
    return
  fi
  case "$path" in
${commands.flatMap(wordCase).join('\n')}
    *) _files ;;
  esac
}
# When compinit has found this file in its path, the file is the body of the function.
if [[ $funcstack[1] == _soulbox ]]; then _soulbox "$@"; else compdef _soulbox soulbox; fi
`;
}

/** How zsh completes the value of an option. */
function generate(option: CommandArgument): string {
  const offer = offerFor(option);
  if (offer.kind === 'words') return `compadd -- ${offer.words.map(quoted).join(' ')}`;
  return offer.kind === 'files' ? '_files' : `_message ${quoted(option.description)}`;
}

/** `name:description`; a colon in a name would need a backslash, and no name has one. */
const described = (name: string, description: string): string => quoted(`${name}:${description}`);

function optionCase({ path, node }: FlatCommand): string {
  const rows = optionsOf(node).flatMap((option) => formsOf(option).map((form) => described(form, option.description)));
  return `      ${quoted(path)}) options=(${[...rows, described('--help', 'Show help')].join(' ')}) ;;`;
}

function wordCase({ path, node }: FlatCommand): string[] {
  if (node.children.length > 0) {
    const rows = node.children.map(({ name, description }) => described(name, description));
    return [`    ${quoted(path)})\n      commands=(${rows.join(' ')})\n      _describe command commands\n      ;;`];
  }
  const list = listFor(node);
  if (list === undefined) return [];
  return [
    `    ${quoted(path)})\n      ids=(\${(f)"$(_soulbox_ids ${list.noun} ${list.field})"})\n      compadd -a ids\n      ;;`,
  ];
}
