#!/bin/bash
# Keeps the code interpreter running, as root like E2B's template: code may install packages and write anywhere.
export HOME=/root USER=root LOGNAME=root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd /home/user || exit 1

folder=$(dirname "$(readlink -f "$0")")
preload=/.soulbox/reseed/node.cjs
options=--max-semi-space-size=1
if [ -r "$preload" ]; then
  options="$options --require=$preload"
fi

# Runs once, when the template is made. Otherwise the first use of Java in each sandbox would wait for it.
if [ ! -e "$folder/java/JavaKernel.class" ] && command -v javac >/dev/null; then
  javac -d "$folder/java" "$folder/java/JavaKernel.java"
fi

while :; do
  NODE_OPTIONS=$options node "$folder/server.cjs"
  sleep 0.5
done
