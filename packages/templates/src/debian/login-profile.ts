/**
 * /etc/profile of the base template. Every command of the official clients runs in a login shell, so this file is on
 * the hot path: Debian's own starts three processes (`id` and `run-parts`), this one none. Same paths, same profile.d.
 */
export const loginProfile = `# Read by login shells. Starts no process: it runs before every command of a sandbox.

if [ "\${EUID:-\${UID:-$(id -u)}}" -eq 0 ]; then
  PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
else
  PATH="/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"
fi
export PATH

if [ -n "\${PS1-}" ] && [ -n "\${BASH-}" ] && [ -f /etc/bash.bashrc ]; then
  . /etc/bash.bashrc
fi

for i in /etc/profile.d/*.sh; do
  if [ -r "$i" ]; then
    . "$i"
  fi
done
unset i
`;
