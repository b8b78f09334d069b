import type { Task } from './runtime.ts';

/** The path of one of a project's files; undefined if there is no such project or file. */
export function projectFile(project: Task['project'], name: string | undefined): string | undefined {
  if (project === undefined || name === undefined) return undefined;
  return `${project.path === '/' ? '' : project.path}/${name}`;
}

/** The first of `names` that the project has, as a path. */
export function entryOf(project: Task['project'], names: readonly string[]): string | undefined {
  return projectFile(
    project,
    names.find((name) => project?.folder.names.has(name)),
  );
}
