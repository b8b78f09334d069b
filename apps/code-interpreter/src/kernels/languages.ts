import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { startBashKernel } from './bash/kernel.ts';
import { startJavaKernel } from './java/kernel.ts';
import { startJavascriptKernel } from './javascript/kernel.ts';
import { startPythonKernel } from './jupyter/python.ts';
import { startRKernel } from './jupyter/r.ts';
import { createZygote } from './jupyter/zygote.ts';
import type { Dialect, Kernel, KernelOptions } from './kernel.ts';

/** One kernel for each; TypeScript runs in JavaScript's. */
export const languages = ['python', 'javascript', 'r', 'java', 'bash'] as const;
export type Language = (typeof languages)[number];

/** The client's choice: the language of the kernel, and what the kernel needs to know about the code. */
export interface LanguageChoice extends Dialect {
  readonly language: Language;
  /** The name in listings of contexts. */
  readonly name: Language | 'typescript';
}

const otherNames: Readonly<Record<string, Language>> = { js: 'javascript', ts: 'javascript', typescript: 'javascript' };

/** Undefined for a language that is not supported. */
export function findLanguage(name: string): LanguageChoice | undefined {
  const known = name.toLowerCase();
  const language = languages.find((each) => each === known) ?? otherNames[known];
  const isTypescript = known === 'ts' || known === 'typescript';
  return language && { language, isTypescript, name: isTypescript ? 'typescript' : language };
}

export type StartKernel = (language: Language, options: KernelOptions) => Promise<Kernel>;

export function createKernelStarter({ assets, env, programs, hasReseed }: Config): StartKernel {
  const zygote = createZygote({ python: programs.python, assets, env });
  const javascript = { command: [programs.node, programs.javascriptKernel], env };
  const starts: Readonly<Record<Language, (options: KernelOptions) => Promise<Kernel>>> = {
    python: async (options) => await startPythonKernel(zygote, options),
    javascript: async (options) => await startJavascriptKernel(javascript, options, hasReseed),
    r: async (options) => await startRKernel({ program: programs.r, script: join(assets, 'r/kernel.R'), env }, options),
    java: async (options) => await startJavaKernel({ command: javaCommand(programs.java, assets), env }, options),
    bash: async (options) => await startBashKernel({ program: programs.bash, env }, options),
  };
  return async (language, options) => await starts[language](options);
}

/**
 * One process with a small initial heap. The template contains the compiled class. Without it Java compiles the source
 * at each start, which takes 1 s more.
 */
function javaCommand(java: string, assets: string): string[] {
  const flags = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
  const folder = join(assets, 'java');
  return existsSync(join(folder, 'JavaKernel.class'))
    ? [java, ...flags, '-cp', folder, 'JavaKernel']
    : [java, ...flags, join(folder, 'JavaKernel.java')];
}
