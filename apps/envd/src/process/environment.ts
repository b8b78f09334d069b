import type { User } from '../users/users.ts';

/** The environment of a process; the later wins. No shell expansion takes place. */
export function processEnvironment(
  user: User,
  searchPath: string,
  globals: Readonly<Record<string, string>>,
  requested: Readonly<Record<string, string>>,
): Record<string, string> {
  return {
    PATH: searchPath,
    HOME: user.home,
    USER: user.name,
    LOGNAME: user.name,
    ...globals,
    ...requested,
  };
}

/** The files that may be meant by a command, in the order of PATH; one with a slash means itself. */
export function candidatePaths(command: string, searchPath: string): string[] {
  if (command.includes('/')) return [command];
  return searchPath.split(':').map((directory) => `${directory === '' ? '.' : directory}/${command}`);
}
