import { SoulBoxError } from '@soulbox/base';
import { expandVariables, namesIn } from './expand-variables.ts';
import { commandIn, runInBuild } from './shell.ts';
import type { PerformStep, StepTools } from './step.ts';

/** All variables of a build together. The limit of execve is a little higher. */
const maxBytes = 1024 * 1024;

/** ENV [name, value, ...]: each value sees those before it. */
export const performEnv: PerformStep = async (tools, { args }) => {
  const { context } = tools;
  const values = args.filter((_, index) => index % 2 === 1);
  const own = new Set([...Object.keys(context.variables), ...args.filter((_, index) => index % 2 === 0)]);
  const isKnown = values.flatMap(namesIn).every((name) => own.has(name));
  const outer = isKnown ? {} : await readEnvironment(tools);
  const variables: Record<string, string> = { ...context.variables };
  for (let at = 0; at < args.length; at += 2)
    variables[args[at] ?? ''] = expandVariables(args[at + 1] ?? '', (name) =>
      Object.hasOwn(variables, name) ? variables[name] : outer[name],
    );
  if (Buffer.byteLength(JSON.stringify(variables)) > maxBytes)
    throw new SoulBoxError('build_failed', 'The environment variables of the build exceed 1 MiB.');
  return { context: { ...context, variables }, changed: false };
};

/** The environment of a command of the build. */
async function readEnvironment({ context, programs, signal }: StepTools): Promise<Readonly<Record<string, string>>> {
  let text = '';
  const program = commandIn(context, 'exec env -0 2>/dev/null || exec env');
  await runInBuild(await programs(), { ...program, signal }, (channel, bytes) => {
    if (channel === 'stdout' && text.length < maxBytes) text += Buffer.from(bytes).toString('utf8');
  });
  const lines = text.split(text.includes('\0') ? '\0' : '\n');
  return Object.fromEntries(
    lines.flatMap((line) => {
      const at = line.indexOf('=');
      return at < 1 ? [] : [[line.slice(0, at), line.slice(at + 1)]];
    }),
  );
}
