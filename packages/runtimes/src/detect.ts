import { bash } from './adapters/bash.ts';
import { bun } from './adapters/bun.ts';
import { deno } from './adapters/deno.ts';
import { go } from './adapters/go.ts';
import { java } from './adapters/java.ts';
import { lua } from './adapters/lua.ts';
import { node } from './adapters/node.ts';
import { php } from './adapters/php.ts';
import { python } from './adapters/python.ts';
import { r } from './adapters/r.ts';
import { ruby } from './adapters/ruby.ts';
import { rust } from './adapters/rust.ts';
import { runtimeNames } from './names.ts';
import type { Language, RuntimeName } from './names.ts';
import type { Clue, Runtime } from './runtime.ts';
import type { Sight } from './sight.ts';

const runtimes = { python, node, bun, deno, bash, r, java, go, ruby, php, lua, rust } satisfies Record<
  RuntimeName,
  Runtime
>;

export function getRuntime(name: RuntimeName): Runtime {
  return runtimes[name];
}

/** A runtime that fits, how certain that is, and why. */
export interface Detection {
  readonly runtime: RuntimeName;
  readonly language: Language;
  /** 0 to 1. */
  readonly sureness: number;
  /** For people; the first is the decisive one. Never empty. */
  readonly reasons: readonly string[];
}

/**
 * Every runtime that fits, the most certain first; runtimes with equal certainty are in the order of `runtimeNames`.
 */
export function detect(sight: Sight): Detection[] {
  return runtimeNames
    .flatMap((name) => detection(name, runtimes[name].detect(sight)))
    .sort((a, b) => b.sureness - a.sureness);
}

function detection(runtime: RuntimeName, clues: readonly Clue[]): Detection[] {
  const [best, ...others] = [...clues].sort((a, b) => b.sureness - a.sureness);
  if (best === undefined) return [];
  const { language, sureness } = best;
  return [{ runtime, language, sureness, reasons: [best, ...others].map(({ why }) => why) }];
}

/** The results that are as certain as the best: if the first is not installed, the next one is as good. */
export function equallySure(detections: readonly Detection[]): Detection[] {
  const best = detections[0]?.sureness;
  return detections.filter(({ sureness }) => sureness === best);
}
