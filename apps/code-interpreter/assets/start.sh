#!/bin/bash
# Keeps the code interpreter running. As root, as E2B's template does: code may install packages and write where it likes.
export HOME=/root USER=root LOGNAME=root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd /home/user || exit 1

folder=$(dirname "$(readlink -f "$0")")
preload=/.soulbox/reseed/node.cjs
options=--max-semi-space-size=1
if [ -r "$preload" ]; then
  options="$options --require=$preload"
fi

# Once, where the template is made: or the first Java of each sandbox would wait for it.
if [ ! -e "$folder/java/JavaKernel.class" ] && command -v javac >/dev/null; then
  javac -d "$folder/java" "$folder/java/JavaKernel.java"
fi

while :; do
  NODE_OPTIONS=$options node "$folder/server.cjs"
  sleep 0.5
done
