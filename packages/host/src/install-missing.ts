import { installCriu } from './criu/install-criu.ts';
import { locateCriu } from './criu/find-criu.ts';
import { installPackages, knownPackages } from './install-packages.ts';
import { readInstallation } from './installation.ts';
import { programId, programs } from './programs.ts';
import type { Program } from './programs.ts';

type OnProgress = (step: string) => void;

/**
 * Installs the packages that these findings need, on Debian and Ubuntu. Throws `host_not_ready` for packages without
 * which no sandbox starts. Other packages are optional, because a release may not have them; if they are still missing,
 * the next check reports that. Returns the packages that were requested.
 */
export async function installMissing(findingIds: readonly string[], onProgress: OnProgress): Promise<string[]> {
  // Our Debian package depends on these programs. A server may start while dpkg installs it: apt would then wait for
  // dpkg, and dpkg for us.
  const mayUseApt = readInstallation().form !== 'debian';
  const missing = programs.filter(({ name }) => mayUseApt && findingIds.includes(programId(name)));
  const required = packagesOf(missing.filter((program) => program.required));
  const optional = packagesOf(missing.filter((program) => !program.required));
  if (mayUseApt && findingIds.includes('localhost-names')) optional.push('libnss-myhostname');
  await installAsFarAsPossible(required, await knownPackages(optional), onProgress);

  // If an installed CRIU fails its trial, downloading it again would not help.
  if (findingIds.includes('criu') && (await locateCriu()) === undefined) {
    await installCriu(onProgress).catch((error: unknown) => onProgress(`continuing without CRIU: ${messageOf(error)}`));
  }
  return [...required, ...optional];
}

function packagesOf(wanted: readonly Program[]): string[] {
  return [...new Set(wanted.map((program) => program.package.debian))];
}

/** Installs all packages in one call, because each call of apt takes seconds. */
async function installAsFarAsPossible(
  required: readonly string[],
  optional: readonly string[],
  onProgress: OnProgress,
): Promise<void> {
  if (optional.length > 0) {
    try {
      await installPackages([...required, ...optional], onProgress);
      return;
    } catch (error) {
      onProgress(`continuing without ${optional.join(', ')}: ${messageOf(error)}`);
    }
  }
  if (required.length > 0) await installPackages(required, onProgress);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
