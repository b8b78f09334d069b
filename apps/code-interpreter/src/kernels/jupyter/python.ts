import type { Kernel, KernelOptions, Variables } from '../kernel.ts';
import { startJupyterKernel } from './kernel.ts';
import type { Zygote } from './zygote.ts';

export async function startPythonKernel(zygote: Zygote, { cwd, variables }: KernelOptions): Promise<Kernel> {
  return await startJupyterKernel({
    start: async (connectionFile) => await zygote.fork({ connectionFile, cwd, variables }),
    variables: pythonVariables,
  });
}

/** A JSON string is also a valid Python string literal, and `json.loads` makes the dict. */
export function pythonVariables(variables: Variables): string {
  const json = JSON.stringify(JSON.stringify(variables));
  return [
    'def _soulbox_set():',
    '    import json, os',
    `    for name, value in json.loads(${asciiOnly(json)}).items():`,
    '        os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)',
    '_soulbox_set()',
    'del _soulbox_set',
  ].join('\n');
}

const asciiOnly = (json: string): string =>
  json.replaceAll(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
