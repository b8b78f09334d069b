/**
 * Programs for the shell of the sandbox, which is dash, bash or BusyBox. Values are arguments, never part of the text.
 * They run with the rights of the user inside.
 */

const common = `
set -u
unset TAR_OPTIONS POSIXLY_CORRECT CDPATH
fail() { printf '%s\\n' "$1" >&2; exit 64; }
expand() { case $1 in '~') path=$HOME ;; '~/'*) path=$HOME/\${1#'~/'} ;; *) path=$1 ;; esac; }
`;

/** Writes an archive of a file or a folder: PATH, and whether a link to a folder stands for its contents. */
export const packScript = `${common}
expand "$1"
[ -e "$path" ] || [ -L "$path" ] || fail "$1 does not exist in the sandbox."
follows=$2
command -v tar >/dev/null || fail 'The sandbox has no tar. Install it.'
if tar --version 2>/dev/null | grep -q GNU; then
  set -- --format=posix --sparse --pax-option=delete=atime,delete=ctime
else
  set --
fi
if [ -d "$path" ] && { [ "$follows" = yes ] || [ ! -L "$path" ]; }; then
  cd -- "$path" || exit 65
  exec tar -cf - "$@" .
fi
[ "$follows" = no ] || fail "$path is not a folder."
case $path in
  */*) cd -- "\${path%/*}/" || exit 65 ;;
esac
exec tar -cf - "$@" "./\${path##*/}"
`;

/**
 * Puts a file or a folder in place when it is complete: PATH, KIND (file, folder, stream), NAME of the source, whether
 * PATH gets the contents of the source, whether PATH must be a folder, ID, IDLE seconds.
 *
 * It prints the kind of tar and the folder for the parts of the archive, each with a NUL. Then it reads the names of
 * the parts, one a line, and at last the word \`end\`. Empty lines are signs of life: after IDLE seconds without a line,
 * or up to twice as long, its caller has gone for ever, and it removes what it has. A file that is replaced is replaced
 * by a rename, or by a link(2) that cp renames, so a reader sees the old one or the new one. A target that exists keeps
 * its own mode: it may belong to somebody else.
 */
export const unpackScript = `${common}
umask 022
expand "$1"
kind=$2 name=$3 contents=$4 folder=$5 id=$6 idle=$7
if [ -d "$path" ]; then
  if [ "$contents" = yes ]; then target=$path; else target=\${path%/}/$name; fi
else
  [ "$folder" = no ] || [ "$kind" = folder ] || fail "$1 is not a folder."
  target=$path
fi
case $target in /*) ;; *) target=$PWD/$target ;; esac
parent=\${target%/*}/
if [ -d "$target" ]; then
  [ "$kind" = folder ] || fail "$target is a folder."
  parent=$target/ isThere=yes
else
  [ -d "$parent" ] || fail "The folder $parent does not exist in the sandbox."
  if [ -e "$target" ] || [ -L "$target" ]; then
    [ "$kind" != folder ] || fail "$target is not a folder."
  fi
  isThere=no
fi
[ "$kind" = stream ] || command -v tar >/dev/null || fail 'The sandbox has no tar. Install it.'
mkdir -m 700 -- "$parent.soulbox-cp-$id" || exit 65
cd -- "$parent.soulbox-cp-$id" || exit 65
stage=$(pwd -P)
watcher=
clear() {
  cd /
  [ -z "$watcher" ] || kill "$watcher" 2>/dev/null
  rm -rf -- "$stage" 2>/dev/null && return
  find "$stage" -type d -exec chmod u+rwx {} + 2>/dev/null
  rm -rf -- "$stage"
}
trap clear EXIT
trap 'exit 130' HUP INT TERM
mkdir x
if tar --version 2>/dev/null | grep -q GNU; then tar=gnu; else tar=other; fi
printf '%s\\0%s\\0' "$tar" "$stage"
watch() {
  trap 'kill "$nap" 2>/dev/null; exit' TERM
  while :; do
    sleep "$idle" & nap=$!
    wait "$nap"
    [ ! -e idle ] || break
    touch idle
  done
  # All of its process group, so that what reads the input ends.
  trap '' TERM
  kill -TERM 0
}
watch </dev/null >/dev/null 2>&1 & watcher=$!
feed() {
  while read -r part; do
    rm -f idle
    [ -n "$part" ] || continue
    if [ "$part" = end ]; then : >end; return; fi
    cat -- "part.$part" || return
    rm -f -- "part.$part"
  done
}
if [ "$kind" = stream ]; then
  feed >"x/stream" || exit 65
  name=stream
else
  feed | tar -xpof - -C x || exit 65
fi
[ -e end ] || exit 130
kill "$watcher" 2>/dev/null
if [ "$isThere" = yes ]; then
  # BusyBox does not report every failure of what find runs.
  find ./x -mindepth 1 -maxdepth 1 -exec sh -c 'cp -alf -- "$@" "$0/" || rm -f end' "$target" {} + || exit 65
  [ -e end ] || exit 65
elif [ "$kind" = folder ]; then
  # A folder without the right to write in it cannot be moved by its owner.
  mv -f ./x "$target" 2>/dev/null || { mkdir -- "$target" && cp -alf ./x/. "$target/"; } || exit 65
else
  mv -f "./x/$name" "$target" || exit 65
fi
`;

/** Prints a file: PATH. */
export const printScript = `${common}
expand "$1"
[ -d "$path" ] && fail "$1 is a folder."
case $path in -*) path=./$path ;; esac
exec cat "$path"
`;

/**
 * Prints the entries of a folder, or a file itself: PATH, and whether it must be a folder and those below are wanted.
 * Each entry is mode (hexadecimal), size, time in seconds, owner, group and name, and ends with two slashes, which no
 * name has.
 */
export const listScript = `${common}
expand "$1"
[ -e "$path" ] || [ -L "$path" ] || fail "$1 does not exist in the sandbox."
deep=$2
for tool in find stat; do
  command -v "$tool" >/dev/null || fail "The sandbox has no $tool. Install it."
done
if [ -d "$path" ]; then
  cd -- "$path" || exit 65
  if [ "$deep" = yes ]; then set -- -mindepth 1; else set -- -mindepth 1 -maxdepth 1; fi
  exec find . "$@" -exec stat -c '%f %s %Y %U %G %n//' {} +
fi
[ "$deep" = no ] || fail "$1 is not a folder."
case $path in -*) path=./$path ;; esac
exec stat -c '%f %s %Y %U %G %n//' "$path"
`;

/**
 * Prints the SHA-256 digests of the files that its input names, each with a NUL, below a folder: PATH. Each is the digest,
 * two spaces and the name, and ends with a NUL. Files that cannot be read are left out.
 */
export const digestScript = `${common}
expand "$1"
cd -- "$path" || exit 65
command -v sha256sum >/dev/null || fail 'The sandbox has no sha256sum. Install it.'
if sha256sum --version 2>/dev/null | grep -q GNU; then exec xargs -0 sha256sum --zero --; fi
exec xargs -0 sh -c 'for name; do
  digest=$(sha256sum <"$name") && printf "%s  %s\\0" "\${digest%% *}" "$name"
done' sh
`;

/** Removes what its input names, each with a NUL, below a folder: PATH. */
export const removeScript = `${common}
expand "$1"
cd -- "$path" || exit 65
exec xargs -0 rm -rf --
`;
