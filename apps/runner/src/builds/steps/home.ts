import { SoulBoxError } from '@soulbox/base';
import type { Programs } from '@soulbox/envd-client';
import { runScript, script } from './shell.ts';

/** Prints the account with the name or number $1 from passwd(5): its name, and its home on the next line. */
const readAccount = `
while IFS=: read -r name _ uid _ _ home _ || [ -n "$name" ]; do
  if [ "$name" = "$1" ] || [ "$uid" = "$1" ]; then
    printf '%s\\n%s\\n' "$name" "$home"
    exit
  fi
  name=
done </etc/passwd
exit 3
`;

export interface Account {
  readonly name: string;
  readonly home: string;
}

/** Undefined when the sandbox has no such user. */
export async function findAccount(programs: Programs, user: string, signal: AbortSignal): Promise<Account | undefined> {
  const { exitCode, stdout, stderr } = await runScript(programs, script(readAccount, [user]), signal);
  const [name = '', home = ''] = stdout.split('\n');
  if (exitCode === 3) return undefined;
  if (exitCode !== 0)
    throw new SoulBoxError('build_failed', `/etc/passwd cannot be read: ${stderr.trim().slice(0, 500)}`);
  return { name, home: home.startsWith('/') ? home : '/' };
}

/** `/` for a user without a home. */
export async function findHome(programs: Programs, user: string, signal: AbortSignal): Promise<string> {
  return (await findAccount(programs, user, signal))?.home ?? '/';
}
