#!/bin/sh
# Guards the worker of a pager: guard.sh GROUP_FOLDER... -- COMMAND...
# Joins a control group of pagers, so that ending the server's own group does not reach it, and runs the worker in it.
# Descriptor 3 provides, line by line, the work folder and the folders of the sandbox's control group. If the worker
# dies while the record says that it loads memory, the guard ends the sandbox first. Only then it ends the processes that
# keep the sandbox's missing memory from turning into zeros.
trap '' HUP INT TERM
here=${0%/*}

while [ "$1" != -- ]; do
  # Not every tree accepts a process: a new cpuset has no CPUs.
  { mkdir -p "$1" && echo $$ >"$1/cgroup.procs"; } 2>/dev/null
  shift
done
shift

exec 4<&0
"$@" <&4 3<&- 4<&- &
worker=$!
exec 4<&- </dev/null >/dev/null

work=
set --
if read -r work <&3; then
  while read -r folder <&3; do set -- "$@" "$folder"; done
fi
exec 3<&-

wait "$worker"
status=$?
[ "$status" -eq 0 ] && exit 0

# Any other record: the worker has ended the sandbox itself, or nothing of it depended on this pager. A busy host may run
# this shell much later, when the control group belongs to the next start of the sandbox.
if [ -n "$work" ] && grep -qs "^{\"state\":\"loading\",\"guard\":{\"pid\":$$," "$work/pager.json"; then
  "$here/end-sandbox.sh" "$@"
  echo '{"state":"interrupted","detail":"The worker of the pager has ended."}' >"$work/pager.json.tmp"
  mv "$work/pager.json.tmp" "$work/pager.json"
fi
# The rest of this pager, above all the sharer, is in the guard's process group, and so is the guard.
kill -9 0
