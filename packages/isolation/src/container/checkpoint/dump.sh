#!/bin/sh
# Saves memory and processes of a frozen sandbox. Runs in a mount namespace of its own, whose small /run only CRIU sees.
# CRIU enters the sandbox's UTS and control group namespaces. So it takes them for its own and does not save them, and a
# copy gets new ones.
# Arguments: init's pid, file with CRIU's facts about this kernel, folder to save into, its id map (empty: none), CRIU's
# libraries and program, the command that runs it.
set -e
pid=$1 facts=$2 images=$3 map=$4 libraries=$5 program=$6
shift 6
. "${0%/*}/kernel-facts.sh"
# The folder may be below the host's /run, which the next step hides.
cd "$images"
enter_private_run "$facts"
# Runs as root. Under another id CRIU checks fewer features and treats the unchecked ones as missing. It then looks for
# the files of Unix sockets by their paths, below a root that is not the sandbox's.
[ -e /run/criu.kdat ] || LD_LIBRARY_PATH=$libraries "$program" check >/dev/null 2>&1 </dev/null 9<&- || :
mkdir /run/images
mount --no-mtab --no-canonicalize --bind ${map:+-o "X-mount.idmap=$map"} . /run/images
# If CRIU were killed because memory runs out, a process of the sandbox could die with it. Not allowed everywhere.
echo -1000 2>/dev/null >/proc/self/oom_score_adj || :
nsenter --uts="/proc/$pid/ns/uts" --cgroup="/proc/$pid/ns/cgroup" "$@" </dev/null 9<&-
# In a restore, CRIU reads them under ids without rights; the folder above them is accessible to root only.
chmod -R a+rX .
keep_facts
