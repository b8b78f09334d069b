# Saves memory and processes of a frozen sandbox. Sourced by criu-shell.sh, so that only CRIU sees its small /run.
# CRIU enters the sandbox's UTS and control group namespaces. So it takes them for its own and does not save them, and a
# copy gets new ones.
# Arguments: init's pid, folder to save into, its id map (empty: none), CRIU's libraries and program, the command that
# runs it.
pid=$1 images=$2 map=$3 libraries=$4 program=$5
shift 5
enter_folder "$images"
# Runs as root. Under another id CRIU checks fewer features and treats the unchecked ones as missing. It then looks for
# the files of Unix sockets by their paths, below a root that is not the sandbox's.
[ -e /run/criu.kdat ] || LD_LIBRARY_PATH=$libraries "$program" check >/dev/null 2>&1 </dev/null 8<&- 9<&- || :
mount --no-mtab --no-canonicalize --bind ${map:+-o "X-mount.idmap=$map"} . /run/images
# If CRIU were killed because memory runs out, a process of the sandbox could die with it. Not allowed everywhere.
echo -1000 2>/dev/null >/proc/self/oom_score_adj || :
nsenter --uts="/proc/$pid/ns/uts" --cgroup="/proc/$pid/ns/cgroup" "$@" </dev/null 8<&- 9<&-
# In a restore, CRIU reads them under ids without rights; the folder above them is accessible to root only.
chmod -R a+rX .
keep_facts
