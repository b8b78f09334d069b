import type { Dialect, Emit, Kernel, KernelOptions, Output, Variables } from '../kernel.ts';
import { spawnGroup } from '../process/group.ts';
import { startJupyterKernel } from './kernel.ts';

export interface RProgram {
  readonly program: string;
  /** assets/r/kernel.R */
  readonly script: string;
  readonly env: NodeJS.ProcessEnv;
}

/** R with IRkernel, which supports the transport ipc too. */
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
 * IRkernel shows values in the same way as plots and never says which one is the value of the code. We take the last
 * output as the value, unless it is a picture or printed text.
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

/** Encodes text as an R string literal. */
const rText = (text: string): string =>
  `"${Array.from(text, (character) =>
    /^[A-Za-z0-9_ ./:=@-]$/.test(character) ? character : `\\U{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  ).join('')}"`;
