import { cluesFrom } from '../clues.ts';
import type { Runtime } from '../runtime.ts';

const modules = '.soulbox/go';
/** A soft limit for Go's garbage collector; above it only the hard limit applies. */
const softShare = 0.8;

export const go: Runtime = {
  name: 'go',
  program: 'go',
  versionCommand: ['go', 'version'],
  features: {
    languages: [{ language: 'go' }],
    packageManager: 'go',
    permissions: 'sandbox',
    repl: undefined,
    memorySetting: 'GOMEMLIMIT',
  },
  detect: (sight) =>
    cluesFrom(sight, {
      language: 'go',
      programs: ['go'],
      extensions: ['go'],
      projectFiles: ['go.mod', 'go.work'],
      entryFiles: ['main.go'],
    }),
  codeFile: () => ({ place: 'apart', name: 'main.go' }),
  prepare({ names }, path) {
    if (!names.has('go.mod') || !names.has('go.sum')) return undefined;
    return {
      commands: [['go', 'mod', 'download']],
      // Cached modules must be removable like other files.
      env: { GOFLAGS: '-modcacherw', GOTOOLCHAIN: 'local', GOMODCACHE: `${path}/${modules}` },
      decidedBy: ['go.mod', 'go.sum'],
      results: [modules],
    };
  },
  execute({ file, project, args, memoryMb }) {
    const env = {
      GOFLAGS: '-modcacherw',
      GOTOOLCHAIN: 'local',
      ...(project?.folder.names.has('go.sum') === true ? { GOMODCACHE: `${project.path}/${modules}` } : {}),
      ...(memoryMb === undefined ? {} : { GOMEMLIMIT: `${Math.floor(memoryMb * softShare)}MiB` }),
    };
    if (file !== undefined) return { command: ['go', 'run', file, ...args], env };
    const hasCode = [...(project?.folder.names ?? [])].some((name) => name.endsWith('.go'));
    return hasCode ? { command: ['go', 'run', '.', ...args], env } : undefined;
  },
};
