import { cluesFrom } from '../clues.ts';
import type { Runtime } from '../runtime.ts';

/** The heap's share of the limit; the rest is for code, threads and the virtual machine itself. */
const heapShare = 0.6;
const classes = '.soulbox/java';

export const java: Runtime = {
  name: 'java',
  program: 'java',
  versionCommand: ['java', '--version'],
  features: {
    languages: [{ language: 'java' }],
    packageManager: undefined,
    permissions: 'sandbox',
    repl: ['jshell'],
    memorySetting: '-Xmx',
  },
  detect: (sight) =>
    cluesFrom(sight, {
      language: 'java',
      programs: ['java'],
      extensions: ['java'],
      projectFiles: ['pom.xml', 'build.gradle', 'build.gradle.kts'],
      entryFiles: ['Main.java'],
    }),
  codeFile: () => ({ place: 'apart', name: 'Main.java' }),
  prepare({ names }) {
    if (!names.has('Main.java')) return undefined;
    return {
      commands: [['javac', '-d', classes, '-sourcepath', '.', 'Main.java']],
      env: {},
      decidedBy: [],
      results: [],
    };
  },
  execute({ file, project, args, memoryMb }) {
    const flags = [
      // Most programs that are run this way end before a better compiler would pay off.
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      ...(memoryMb === undefined ? [] : [`-Xmx${Math.max(8, Math.floor(memoryMb * heapShare))}m`]),
    ];
    if (file !== undefined) return { command: ['java', ...flags, file, ...args], env: {} };
    if (project?.folder.names.has('Main.java') !== true) return undefined;
    return { command: ['java', ...flags, '-cp', `${project.path}/${classes}`, 'Main', ...args], env: {} };
  },
};
