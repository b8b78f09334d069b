import { createHash } from 'node:crypto';
import type { Step } from '../steps/step.ts';

/**
 * Increased when the same step would produce other files than before. Entries of earlier versions are unusable then.
 */
const format = 1;

/**
 * What a build starts from. The team is part of it because the client supplies the digest of uploaded files: a team
 * must not be able to choose what other teams get.
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

/** Keys are chained: the same step after a different one has a different key. */
export function stepKey(before: string, { type, args, filesHash }: Step): string {
  return digest([before, type, args, filesHash]);
}

/** Key of a build's result. `facts` is everything that determines the result besides files and context. */
export function resultKey(before: string, facts: object): string {
  return digest([before, 'result', facts]);
}

function digest(content: unknown): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}
