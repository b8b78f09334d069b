import { createHash } from 'node:crypto';
import type { Step } from '../steps/step.ts';

/** Changed when the same step would leave other files than it did: what earlier versions cached is of no use then. */
const format = 1;

/**
 * What a build begins with. The team is part of it: the digest of uploaded files is its client's word, and nobody may choose what
 * others get.
 */
export interface BaseFacts {
  readonly teamId: string;
  readonly templateId: string;
  readonly layers: readonly string[];
  readonly isolation: string;
  readonly user: string;
  readonly workdir: string;
  readonly variables: Readonly<Record<string, string>>;
}

export function baseKey(facts: BaseFacts): string {
  return digest(['base', format, facts]);
}

/** Chained: the same step after another one is another step. */
export function stepKey(before: string, { type, args, filesHash }: Step): string {
  return digest([before, type, args, filesHash]);
}

/** Of what a build ends as. `facts` is all that decides it besides files and context. */
export function resultKey(before: string, facts: object): string {
  return digest([before, 'result', facts]);
}

function digest(content: unknown): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}
