# take-order.sh is sourced by a shell that waits for one script, see waiting-shells.ts. Standard input: a number of words,
# and that many lines: the name of the sandbox's traces, the script, its arguments. Without them the shell ends. Sets
# $script, and the arguments.
read -r count || exit 0
set --
while [ "$count" -gt 0 ]; do
  IFS= read -r word
  set -- "$@" "$word"
  count=$((count - 1))
done
export SOULBOX_TOOL_FOR="$1"
script=$2
shift 2
