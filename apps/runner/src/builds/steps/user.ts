import { SoulBoxError } from '@soulbox/base';
import { findAccount } from './home.ts';
import { runScript, script } from './shell.ts';
import type { PerformStep } from './step.ts';

/** Names that useradd(8) accepts. None can be read as an option. */
const nameForm = /^[a-z_][a-z0-9_-]{0,31}$/;

/** Each distribution has one of these two programs. */
const addUser = `
shell=/bin/sh
if [ -x /bin/bash ]; then shell=/bin/bash; fi
if command -v useradd >/dev/null; then useradd --create-home --shell "$shell" -- "$1"
else adduser -D -s "$shell" "$1"
fi
`;

/** USER [name]: a missing user is created with a home and bash. */
export const performUser: PerformStep = async ({ context, signal, programs }, { args }) => {
  // Docker allows a group after a colon. Our programs get the user's own groups.
  const [wanted = ''] = (args[0] ?? '').split(':');
  const inside = await programs();
  const account = await findAccount(inside, wanted, signal);
  if (account !== undefined) return { context: { ...context, user: account.name }, changed: false };
  if (!nameForm.test(wanted))
    throw new SoulBoxError(
      'build_failed',
      `The user ${JSON.stringify(wanted.slice(0, 40))} does not exist and cannot be created.`,
    );
  const { exitCode, stderr } = await runScript(inside, script(addUser, [wanted]), signal);
  if (exitCode !== 0)
    throw new SoulBoxError('build_failed', `The user ${wanted} cannot be created: ${stderr.trim().slice(0, 500)}`);
  return { context: { ...context, user: wanted }, changed: true };
};
