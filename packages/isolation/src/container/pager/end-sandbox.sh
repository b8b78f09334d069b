#!/bin/sh
# Ends every process in a control group: end-sandbox.sh FOLDER...
# The folders are one group: one per tree of cgroup v1, or a single one of v2. A missing folder counts as empty. Gives
# up after about 10 s with status 1. TypeScript could do the same (cgroup/v1.ts), but not in the guard, which must stay
# small.

freeze() {
  for folder; do [ -e "$folder/freezer.state" ] && echo "$state" >"$folder/freezer.state"; done
}

strike() {
  for folder; do [ -e "$folder/cgroup.kill" ] && echo 1 >"$folder/cgroup.kill"; done
  # While the group is frozen, no process can fork between the listing and the signals; the signals act after the thaw.
  state=FROZEN
  freeze "$@"
  for folder; do
    [ -e "$folder/cgroup.procs" ] && while read -r pid; do
      # 0 stands for a process of another pid namespace.
      [ "$pid" -gt 0 ] && kill -9 "$pid"
    done <"$folder/cgroup.procs"
  done
  state=THAWED
  freeze "$@"
}

is_empty() {
  for folder; do
    [ -e "$folder/cgroup.procs" ] && read -r _ <"$folder/cgroup.procs" && return 1
  done
  return 0
}

tries=0
until is_empty "$@"; do
  [ "$tries" -lt 1000 ] || exit 1
  tries=$((tries + 1))
  strike "$@" 2>/dev/null
  is_empty "$@" || sleep 0.01
done
