# CRIU checks the features of the kernel, which takes 50 ms, unless /run is a tmpfs with the results of an earlier run.
# This file is sourced.

# enter_private_run FACTS: an empty /run with those results, if there are any. Descriptor 9 stays on the folder of
# FACTS.
enter_private_run() {
  facts_name=${1##*/}
  exec 9<"${1%/*}"
  mount --no-mtab -t tmpfs -o mode=755,size=16m,nosuid,nodev soulbox /run
  cp "/proc/self/fd/9/$facts_name" /run/criu.kdat 2>/dev/null || :
}

# keep_facts: stores the results for the next run. The first writer wins, and no reader sees a partial file.
keep_facts() {
  [ ! -e "/proc/self/fd/9/$facts_name" ] && [ -e /run/criu.kdat ] || return 0
  cp /run/criu.kdat "/proc/self/fd/9/$facts_name.$$"
  mv "/proc/self/fd/9/$facts_name.$$" "/proc/self/fd/9/$facts_name"
}
