import { detect, fullTemplate } from '@soulbox/runtimes';
import type { Sight } from '@soulbox/runtimes';
import type { Target } from './read-target.ts';
import type { RunRequest } from './run-request.ts';

const baseTemplate = 'base';

/** What the smallest template cannot run goes to the one that has everything. */
export function templateFor(target: Target, { language, runtime }: Pick<RunRequest, 'language' | 'runtime'>): string {
  if (runtime !== undefined) return ['python', 'node', 'bash'].includes(runtime) ? baseTemplate : fullTemplate.name;
  const [best] = detect(sightOf(target, language));
  const isInBase =
    best === undefined ||
    best.language === 'python' ||
    best.language === 'bash' ||
    (best.runtime === 'node' && best.language === 'javascript');
  return isInBase ? baseTemplate : fullTemplate.name;
}

/** Names only: the sandbox looks more closely, and says what it lacks. */
function sightOf(target: Target, language: Sight['language']): Sight {
  const names = target.kind === 'folder' ? target.files.filter((file) => !file.includes('/')) : [];
  const fileName = target.kind === 'file' ? target.name : undefined;
  const firstLine =
    target.kind === 'folder' ? '' : target.kind === 'file' ? target.firstLine : (target.code.split('\n')[0] ?? '');
  return { fileName, firstLine, folder: { names: new Set(names), texts: new Map() }, language };
}
