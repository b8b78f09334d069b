import { run } from '@soulbox/base';

/** Which of the programs are missing on this host. */
export async function findMissing(programs: readonly string[]): Promise<string[]> {
  const present = await Promise.all(
    programs.map(async (program) => {
      try {
        await run('which', [program]);
        return true;
      } catch {
        return false;
      }
    }),
  );
  return programs.filter((_, index) => present[index] !== true);
}
