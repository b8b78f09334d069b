import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { constants, Script } from 'node:vm';
import { createDisplay } from './display.ts';
import { environment } from './environment.ts';
import { reply, writeText } from './write.ts';

const hookName = Symbol.for('soulbox.import');
/** The expression by which rewritten code reaches `Hook` (rewrite-imports.ts). */
export const hookExpression = "globalThis[Symbol.for('soulbox.import')]";

/** The functions that replace `import` in code. */
export interface Hook {
  load(specifier: string, options?: ImportCallOptions): Promise<unknown>;
  /** `import.meta` */
  readonly meta: object;
}

/** Adds to the global scope what a REPL has. Keeps the process alive whatever the code throws. */
export function prepareScope(): void {
  // Meant for this process, not for the programs that it starts.
  delete environment['NODE_OPTIONS'];
  writeThrough(process.stdout, 1);
  writeThrough(process.stderr, 2);
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

/**
 * Writes to the descriptor, past the state of Node's stream: an interrupt terminates code anywhere, and in the middle of
 * a write it would leave a stream that keeps all later output in memory. A full pipe blocks the code. What Node refuses,
 * it refuses itself.
 */
function writeThrough(stream: NodeJS.WriteStream, fd: number): void {
  const { _handle: handle } = stream as { _handle?: { setBlocking?: (isBlocking: boolean) => void } };
  handle?.setBlocking?.(true);
  const refuse = stream.write.bind(stream) as (...parameters: readonly unknown[]) => boolean;
  const write = (chunk: unknown, encoding?: unknown, done?: unknown): boolean => {
    const isText = typeof chunk === 'string';
    if (!isText && !(chunk instanceof Uint8Array)) return refuse(chunk);
    if (typeof encoding !== 'string') writeText(fd, chunk);
    else if (Buffer.isEncoding(encoding)) writeText(fd, isText ? Buffer.from(chunk, encoding) : chunk);
    else return refuse(chunk, encoding);
    const call = typeof encoding === 'function' ? encoding : done;
    if (typeof call === 'function') process.nextTick(call);
    return true;
  };
  Object.defineProperty(stream, 'write', { value: write, writable: true, enumerable: false, configurable: true });
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

/** Code has no file. Modules are resolved as if it were a file in the current directory. */
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

/** Otherwise Node would print on the tenant's standard error that this loader is experimental. */
function withoutWarnings<T>(action: () => T): T {
  const emit = process.emitWarning.bind(process);
  process.emitWarning = () => undefined;
  try {
    return action();
  } finally {
    process.emitWarning = emit;
  }
}

/** Configurable, so that code may declare the same name. */
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
