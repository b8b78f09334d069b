import { stat } from 'node:fs/promises';
import type { Language, LanguageChoice, StartKernel } from '../kernels/languages.ts';
import { Refusal } from '../server/refusal.ts';
import { CodeContext } from './code-context.ts';

/** Each context is at least one process. A sandbox with little memory reaches its limit sooner. */
const maxContexts = 64;

/** All contexts of the sandbox. */
export class ContextTable {
  readonly #contexts = new Map<string, CodeContext>();
  readonly #defaults = new Map<Language, CodeContext>();
  readonly #startKernel: StartKernel;
  readonly #home: string;

  constructor(startKernel: StartKernel, home: string) {
    this.#startKernel = startKernel;
    this.#home = home;
  }

  list(): CodeContext[] {
    return [...this.#contexts.values()];
  }

  /** Throws 404. */
  get(id: string): CodeContext {
    const context = this.#contexts.get(id);
    if (context === undefined) throw new Refusal(404, `Context ${id} not found`);
    return context;
  }

  /** The context for code that names none. Created at the first use of its language. */
  async getDefault(language: Language): Promise<CodeContext> {
    const found = this.#defaults.get(language);
    const context = found ?? this.#add({ language, name: language, isTypescript: false }, this.#home);
    this.#defaults.set(language, context);
    await this.#ready(context);
    return context;
  }

  async create(choice: LanguageChoice, cwd: string): Promise<CodeContext> {
    const isFolder = await stat(cwd).then(
      (status) => status.isDirectory(),
      () => false,
    );
    if (!isFolder) throw new Refusal(500, `Working directory ${cwd} does not exist`);
    const context = this.#add(choice, cwd);
    await this.#ready(context);
    return context;
  }

  async restart(id: string): Promise<void> {
    const context = this.get(id);
    await context.restart().catch((error: unknown) => this.#fail(context, error));
  }

  async remove(id: string): Promise<void> {
    const context = this.get(id);
    this.#forget(context);
    await context[Symbol.asyncDispose]();
  }

  #add(choice: LanguageChoice, cwd: string): CodeContext {
    if (this.#contexts.size >= maxContexts)
      throw new Refusal(429, `There are ${maxContexts} contexts; remove one first`);
    const context = new CodeContext(choice, cwd, this.#startKernel);
    this.#contexts.set(context.id, context);
    return context;
  }

  async #ready(context: CodeContext): Promise<void> {
    await context.ready().catch((error: unknown) => this.#fail(context, error));
  }

  /** A context whose kernel does not start is useless, so it is removed. */
  #fail(context: CodeContext, error: unknown): never {
    this.#forget(context);
    const why = error instanceof Error ? error.message : 'unknown';
    throw new Refusal(500, `The ${context.choice.language} kernel does not start: ${why}`);
  }

  #forget(context: CodeContext): void {
    this.#contexts.delete(context.id);
    if (this.#defaults.get(context.choice.language) === context) this.#defaults.delete(context.choice.language);
  }
}
