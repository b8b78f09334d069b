import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { constants, Script } from 'node:vm';
import { createDisplay } from './display.ts';
import { environment } from './environment.ts';
import { reply, writeText } from './write.ts';

const hookName = Symbol.for('soulbox.import');
/** How rewritten code reaches `Hook` (rewrite-imports.ts). */
export const hookExpression = "globalThis[Symbol.for('soulbox.import')]";

/** What `import` in code becomes. */
export interface Hook {
  load(specifier: string, options?: ImportCallOptions): Promise<unknown>;
  /** `import.meta` */
  readonly meta: object;
}

/** Gives the global scope what a REPL has, and keeps the process alive whatever the code throws. */
export function prepareScope(): void {
  // Meant for this process, not for what it starts.
  delete environment['NODE_OPTIONS'];
  for (const stream of [process.stdout, process.stderr]) waitForReaders(stream);
  process.on('uncaughtException', (error) => writeText(2, `${inspect(error)}\n`));
  process.on('unhandledRejection', (error) => writeText(2, `Unhandled rejection: ${inspect(error)}\n`));
  const display = createDisplay((bundle) => reply({ type: 'result', isMain: false, bundle }));
  define('display', display);
  define('$$', display);
  defineGetter('require', () => requireFrom(process.cwd()));
  defineGetter('__dirname', () => process.cwd());
  defineGetter('__filename', () => filenameIn(process.cwd()));
  Object.defineProperty(globalThis, hookName, { value: createHook(), enumerable: false });
}

/** A full pipe holds the code up. Node would keep what it prints in memory, and print it after the end of the code. */
function waitForReaders(stream: NodeJS.WriteStream): void {
  const { _handle: handle } = stream as { _handle?: { setBlocking?: (isBlocking: boolean) => void } };
  handle?.setBlocking?.(true);
}

function createHook(): Hook {
  return {
    load: async (specifier, options) => await withoutWarnings(() => loaderFrom(process.cwd())(specifier, options)),
    get meta() {
      const dirname = process.cwd();
      const filename = filenameIn(dirname);
      const url = pathToFileURL(filename).href;
      const resolve = (name: string): string => pathToFileURL(createRequire(url).resolve(name)).href;
      return { dirname, filename, url, resolve };
    },
  };
}

/** Code has no file; modules are looked for as if it were in the folder where it runs. */
const filenameIn = (directory: string): string => `${directory}/cell.js`;
const requireFrom = remember((directory) => createRequire(filenameIn(directory)));
const loaderFrom = remember((directory) => {
  const importModuleDynamically = constants.USE_MAIN_CONTEXT_DEFAULT_LOADER;
  const options = { filename: filenameIn(directory), importModuleDynamically };
  const script = new Script('(specifier, options) => import(specifier, options)', options);
  return script.runInThisContext() as (specifier: string, options?: ImportCallOptions) => Promise<unknown>;
});

function remember<T>(create: (directory: string) => T): (directory: string) => T {
  let last: { directory: string; value: T } | undefined;
  return (directory) => {
    if (last?.directory !== directory) last = { directory, value: create(directory) };
    return last.value;
  };
}

/** Node calls this loader experimental, on the tenant's standard error. */
function withoutWarnings<T>(action: () => T): T {
  const emit = process.emitWarning.bind(process);
  process.emitWarning = () => undefined;
  try {
    return action();
  } finally {
    process.emitWarning = emit;
  }
}

/** Configurable: code may declare its own of that name. */
function define(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });
}

function defineGetter(name: string, get: () => unknown): void {
  Object.defineProperty(globalThis, name, {
    get,
    set: (value: unknown) => define(name, value),
    enumerable: false,
    configurable: true,
  });
}
