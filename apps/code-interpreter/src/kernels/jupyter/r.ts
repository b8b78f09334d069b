import type { Dialect, Emit, Kernel, KernelOptions, Output, Variables } from '../kernel.ts';
import { spawnGroup } from '../process/group.ts';
import { startJupyterKernel } from './kernel.ts';

export interface RProgram {
  readonly program: string;
  /** assets/r/kernel.R */
  readonly script: string;
  readonly env: NodeJS.ProcessEnv;
}

/** R by IRkernel, which knows the transport ipc as well. */
export async function startRKernel(
  { program, script, env }: RProgram,
  { cwd, variables }: KernelOptions,
): Promise<Kernel> {
  const kernel = await startJupyterKernel({
    start: async (connectionFile) =>
      await spawnGroup([program, '--slave', '--no-restore', `--file=${script}`, '--args', connectionFile], {
        cwd,
        env: { ...env, ...variables },
        stdio: ['ignore', 'ignore', 'inherit'],
      }),
    variables: rVariables,
  });
  return { ...kernel, execute: async (code, emit, dialect) => await executeWithMain(kernel, code, emit, dialect) };
}

/**
 * IRkernel shows values as it shows plots and never says which is the value of the code. The last output is, unless it is a picture
 * or text that was printed.
 */
async function executeWithMain(kernel: Kernel, code: string, emit: Emit, dialect: Dialect): Promise<void> {
  let held: (Output & { type: 'result' }) | undefined;
  const flush = (isMain: boolean): Promise<void> | undefined => {
    const output = held;
    held = undefined;
    return output && emit({ ...output, isMain });
  };
  await kernel.execute(
    code,
    (output) => {
      const behind = flush(false);
      if (output.type !== 'result') return emit(output) ?? behind;
      held = output;
      return behind;
    },
    dialect,
  );
  await flush(held !== undefined && !held.bundle.some(([type]) => type.startsWith('image/')));
}

export function rVariables(variables: Variables): string {
  return Object.entries(variables)
    .map(([name, value]) =>
      value === null
        ? `Sys.unsetenv(${rText(name)})`
        : `do.call(Sys.setenv, stats::setNames(list(${rText(value)}), ${rText(name)}))`,
    )
    .join('\n');
}

/** A text literal of R. */
const rText = (text: string): string =>
  `"${Array.from(text, (character) =>
    /^[A-Za-z0-9_ ./:=@-]$/.test(character) ? character : `\\U{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  ).join('')}"`;
