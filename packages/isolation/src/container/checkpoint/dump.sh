#!/bin/sh
# Saves memory and processes of a frozen sandbox. Runs in a mount namespace of its own, whose small /run only CRIU sees.
# CRIU enters the sandbox's UTS and control group namespaces, so that it takes them for its own and does not save them: a
# copy gets new ones.
# Arguments: init's pid, file with CRIU's facts about this kernel, folder to save into, its id map (empty: none), CRIU's
# libraries and program, the command that runs it.
set -e
pid=$1 facts=$2 images=$3 map=$4 libraries=$5 program=$6
shift 6
. "${0%/*}/kernel-facts.sh"
enter_private_run "$facts"
# As root: for another id CRIU asks less, takes what it did not ask for missing, and then looks for the files of Unix sockets
# by their paths, below a root that is not the sandbox's.
[ -e /run/criu.kdat ] || LD_LIBRARY_PATH=$libraries "$program" check >/dev/null 2>&1 </dev/null 9<&- || :
mkdir /run/images
mount --no-mtab --bind ${map:+-o "X-mount.idmap=$map"} "$images" /run/images
# Killed for want of memory, CRIU could take a process of the sandbox with it. Not allowed everywhere.
echo -1000 2>/dev/null >/proc/self/oom_score_adj || :
nsenter --uts="/proc/$pid/ns/uts" --cgroup="/proc/$pid/ns/cgroup" "$@" </dev/null 9<&-
# CRIU reads them, in a restore, as nobody in particular; the folder above is root's alone.
chmod -R a+rX "$images"
keep_facts
