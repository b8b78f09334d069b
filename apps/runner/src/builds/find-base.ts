import type { Template } from '@soulbox/templates';
import type { BuildLog } from './build-log.ts';
import type { BuildBase, StepContext } from './build-spec.ts';
import type { BuildContext } from './builds.ts';
import { parseImageName, shortName } from './images/image-name.ts';
import { mapImage } from '../image-map.ts';

/** What a build starts from. */
export interface Base {
  readonly template: Template;
  readonly layers: readonly string[];
  readonly isolation: string | undefined;
  readonly diskMb: number;
  readonly context: StepContext;
  /** Additional environment variables of its sandboxes. */
  readonly environment: Readonly<Record<string, string>>;
  /** For builds that name none. Empty: none. The control plane knows the start commands of earlier builds. */
  readonly startCommand: string;
  readonly readyCommand: string;
}

/** One call waits this long for a template to be made. Then the progress is logged. */
const makeWaitMs = 5000;

export interface Search {
  readonly log: BuildLog;
  readonly signal: AbortSignal;
  /** Keeps layers from being removed. It is called before anything could remove them. */
  readonly hold: (layers: readonly string[]) => void;
}

/** Throws `template_not_found`, `snapshot_not_found`, `image_unavailable`. */
export async function findBase(context: BuildContext, base: BuildBase, search: Search): Promise<Base> {
  switch (base.kind) {
    case 'template':
      return baseFromTemplate(await getTemplate(context, base.templateId, search));
    case 'build':
      return await baseFromBuild(context, base.buildId, search);
    case 'image':
      return await baseFromImage(context, base, search);
  }
}

/** A missing built-in template is made first. */
async function getTemplate({ maker }: BuildContext, idOrName: string, { log, signal }: Search): Promise<Template> {
  for (;;) {
    const made = await maker.make(idOrName, makeWaitMs);
    if ('templateId' in made) return made;
    signal.throwIfAborted();
    log.write('base', 'info', `the template ${idOrName} is built first: ${made.step}`);
  }
}

function baseFromTemplate(template: Template): Base {
  const { defaultUser, defaultWorkdir, environment, isolation, diskMb } = template;
  const { startCommand = '', readyCommand = '' } = template;
  const context = { user: defaultUser, workdir: defaultWorkdir, variables: {} };
  return { template, layers: [], isolation, diskMb, context, environment, startCommand, readyCommand };
}

async function baseFromBuild(context: BuildContext, buildId: string, search: Search): Promise<Base> {
  const { tenant, templateId, layers, driver, diskMb, variables } = context.snapshots.get(buildId);
  search.hold(layers);
  const { defaultUser, defaultWorkdir, envVars } = tenant.settings;
  return {
    template: await getTemplate(context, templateId, search),
    layers,
    isolation: driver,
    diskMb,
    // An inherited start command needs the variables that it was written for.
    context: { user: defaultUser, workdir: defaultWorkdir, variables: variables ?? {} },
    environment: Object.fromEntries(Object.entries(envVars).filter(([name]) => !name.startsWith('E2B_'))),
    startCommand: '',
    readyCommand: '',
  };
}

async function baseFromImage(
  context: BuildContext,
  image: Extract<BuildBase, { kind: 'image' }>,
  search: Search,
): Promise<Base> {
  const { log, signal } = search;
  const name = shortName(parseImageName(image.reference));
  const target = mapImage(context.host.config.images, name);
  if (target?.startsWith('template:') === true) {
    log.write('base', 'info', `${name} is the template ${target.slice('template:'.length)} here`);
    return baseFromTemplate(await getTemplate(context, target.slice('template:'.length), search));
  }
  const reference = target ?? image.reference;
  if (target !== undefined) log.write('base', 'info', `${name} is taken from ${target}`);
  // Credentials are only for the registry in the reference, not for the one that the host uses in its place.
  const wanted = target === undefined ? image : { kind: 'image' as const, reference };
  const template = await context.builds.images.get(wanted, signal, (line) => log.write('base', 'info', line));
  // As with E2B, the user of the image is ignored: its sandboxes belong to `user`.
  return { ...baseFromTemplate(template), context: { user: 'user', workdir: '', variables: {} } };
}
