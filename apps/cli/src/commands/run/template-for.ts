import { detect, fullTemplate } from '@soulbox/runtimes';
import type { Sight } from '@soulbox/runtimes';
import type { Target } from './read-target.ts';
import type { RunRequest } from './run-request.ts';

const baseTemplate = 'base';

/** The smallest template if it can run the target, otherwise the one with all runtimes. */
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

/** Only the file names: the sandbox inspects the content and reports what is missing. */
function sightOf(target: Target, language: Sight['language']): Sight {
  const names = target.kind === 'folder' ? target.files.filter((file) => !file.includes('/')) : [];
  const fileName = target.kind === 'file' ? target.name : undefined;
  const firstLine =
    target.kind === 'folder' ? '' : target.kind === 'file' ? target.firstLine : (target.code.split('\n')[0] ?? '');
  return { fileName, firstLine, folder: { names: new Set(names), texts: new Map() }, language };
}
