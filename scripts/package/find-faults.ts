import { checkProgram } from './check-program.ts';
import { findDeadLinks } from './dead-links.ts';
import { nodePackage } from './npm-package.ts';
import { sandboxPrograms } from './stage-program.ts';
import type { StagedProgram } from './stage-program.ts';

/** Descriptions of what is missing in a program that was staged in `target`. */
export function findFaults(target: string, { dependencies, pages }: StagedProgram): string[] {
  const known = { dependencies: new Set([...dependencies, nodePackage]), bundles: sandboxPrograms };
  return [...checkProgram(target, known), ...findDeadLinks(target, pages)];
}
