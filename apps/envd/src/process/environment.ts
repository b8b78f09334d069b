import type { User } from '../users/users.ts';

/** The environment of a process. Later sources override earlier ones. There is no shell expansion. */
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

/** The files that a command may refer to, in the order of PATH. A command with a slash refers to itself. */
export function candidatePaths(command: string, searchPath: string): string[] {
  if (command.includes('/')) return [command];
  return searchPath.split(':').map((directory) => `${directory === '' ? '.' : directory}/${command}`);
}
