import { stat } from 'node:fs/promises';
import type { Language, LanguageChoice, StartKernel } from '../kernels/languages.ts';
import { Refusal } from '../server/refusal.ts';
import type { CodeContext } from './code-context.ts';
import { createCodeContext } from './code-context.ts';

/** Each context is at least one process. A sandbox with little memory reaches its limit sooner. */
const maxContexts = 64;

export interface ContextTable {
  list(): CodeContext[];
  /** Throws 404. */
  get(id: string): CodeContext;
  /** The context for code that names none. Created at the first use of its language. */
  getDefault(language: Language): Promise<CodeContext>;
  create(choice: LanguageChoice, cwd: string): Promise<CodeContext>;
  restart(id: string): Promise<void>;
  remove(id: string): Promise<void>;
}

/** All contexts of the sandbox. */
export function createContextTable(startKernel: StartKernel, home: string): ContextTable {
  const contexts = new Map<string, CodeContext>();
  const defaults = new Map<Language, CodeContext>();

  const get = (id: string): CodeContext => {
    const context = contexts.get(id);
    if (context === undefined) throw new Refusal(404, `Context ${id} not found`);
    return context;
  };
  const add = (choice: LanguageChoice, cwd: string): CodeContext => {
    if (contexts.size >= maxContexts) throw new Refusal(429, `There are ${maxContexts} contexts; remove one first`);
    const context = createCodeContext(choice, cwd, startKernel);
    contexts.set(context.id, context);
    return context;
  };
  const forget = (context: CodeContext): void => {
    contexts.delete(context.id);
    if (defaults.get(context.choice.language) === context) defaults.delete(context.choice.language);
  };
  /** A context whose kernel does not start is useless, so it is removed. */
  const fail = (context: CodeContext, error: unknown): never => {
    forget(context);
    const why = error instanceof Error ? error.message : 'unknown';
    throw new Refusal(500, `The ${context.choice.language} kernel does not start: ${why}`);
  };
  const ready = async (context: CodeContext): Promise<void> => {
    await context.ready().catch((error: unknown) => fail(context, error));
  };

  return {
    list: () => [...contexts.values()],
    get,
    async getDefault(language) {
      const found = defaults.get(language);
      const context = found ?? add({ language, name: language, isTypescript: false }, home);
      defaults.set(language, context);
      await ready(context);
      return context;
    },
    async create(choice, cwd) {
      const isFolder = await stat(cwd).then(
        (status) => status.isDirectory(),
        () => false,
      );
      if (!isFolder) throw new Refusal(500, `Working directory ${cwd} does not exist`);
      const context = add(choice, cwd);
      await ready(context);
      return context;
    },
    async restart(id) {
      const context = get(id);
      await context.restart().catch((error: unknown) => fail(context, error));
    },
    async remove(id) {
      const context = get(id);
      forget(context);
      await context[Symbol.asyncDispose]();
    },
  };
}
