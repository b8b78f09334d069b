import { run } from '@soulbox/base';
import type { Check, Finding } from '../finding.ts';
import { installFix } from '../finding.ts';
import { programId, programs } from '../programs.ts';
import type { Program } from '../programs.ts';
import { findProgram } from '../system.ts';
import { findVersion, isAtLeast, showVersion } from '../versions.ts';

/** Checks that every program is installed and recent enough. */
export const checkPrograms: Check = async () => await Promise.all(programs.map(checkProgram));

export async function checkProgram(program: Program): Promise<Finding> {
  const base = { id: programId(program.name), title: program.name, protects: program.usedFor };
  const bad = { status: program.required ? 'fail' : 'warn', fix: program.fix ?? installFix(program.package) } as const;
  const path = await findProgram(program.name);
  if (path === undefined) return { ...base, ...bad, detail: `not installed; needed for ${program.usedFor}` };
  const { minimum } = program;
  if (minimum === undefined) return { ...base, status: 'ok', detail: path };
  const version = findVersion(await run(path, [minimum.flag], { timeoutMs: 10_000 }).catch(() => ''));
  if (version === undefined) return { ...base, ...bad, detail: `${path} does not report its version` };
  if (!isAtLeast(version, minimum.version)) {
    const wanted = showVersion(minimum.version);
    return { ...base, ...bad, detail: `${showVersion(version)} is too old, ${wanted} is required: ${minimum.why}` };
  }
  return { ...base, status: 'ok', detail: showVersion(version) };
}
