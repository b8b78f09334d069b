import { SoulBoxError } from '@soulbox/base';
import { findHome } from './home.ts';
import { runScript, script } from './shell.ts';
import type { PerformStep } from './step.ts';

/**
 * Creates each missing part of $1 for the user $2. Then prints the resolved path, and last whether anything was
 * created.
 */
const makeFolder = `
made=kept
path=
rest=\${1#/}
while [ -n "$rest" ]; do
  part=\${rest%%/*}
  case $rest in */*) rest=\${rest#*/} ;; *) rest= ;; esac
  [ -n "$part" ] || continue
  path=$path/$part
  if [ ! -d "$path/" ]; then
    mkdir "$path"
    chown "$2:" "$path"
    made=made
  fi
done
cd "\${path:-/}"
pwd
echo "$made"
`;

/** WORKDIR [path]: relative to the previous one. */
export const performWorkdir: PerformStep = async ({ context, signal, programs }, { args: [path = ''] }) => {
  const inside = await programs();
  const from = context.workdir === '' ? await findHome(inside, context.user, signal) : context.workdir;
  const absolute = path.startsWith('/') ? path : `${from}/${path}`;
  const { exitCode, stdout, stderr } = await runScript(inside, script(makeFolder, [absolute, context.user]), signal);
  const lines = stdout.split('\n');
  const made = lines.at(-2);
  const workdir = lines.slice(0, -2).join('\n');
  if (exitCode !== 0 || !workdir.startsWith('/'))
    throw new SoulBoxError(
      'build_failed',
      `The folder ${path.slice(0, 200)} cannot be created: ${stderr.trim().slice(0, 500)}`,
    );
  return { context: { ...context, workdir }, changed: made !== 'kept' };
};
