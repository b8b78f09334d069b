import { expect, test } from 'vitest';
import { entryOf, projectFile } from './project-file.ts';

const projectAt = (path: string, ...names: string[]) => ({
  path,
  folder: { names: new Set(names), texts: new Map<string, string>() },
});

test('a file of a project has its path, including one at the root', () => {
  expect(projectFile(projectAt('/home/user/app'), 'main.py')).toBe('/home/user/app/main.py');
  expect(projectFile(projectAt('/'), 'main.py')).toBe('/main.py');
});

test('without a project or a name there is no path', () => {
  expect(projectFile(undefined, 'main.py')).toBeUndefined();
  expect(projectFile(projectAt('/p'), undefined)).toBeUndefined();
  expect(entryOf(undefined, ['main.py'])).toBeUndefined();
});

test('the first of the names that the project has is its entry', () => {
  const project = projectAt('/p', 'app.py', 'main.py');
  expect(entryOf(project, ['__main__.py', 'main.py', 'app.py'])).toBe('/p/main.py');
  expect(entryOf(project, ['index.py'])).toBeUndefined();
});
