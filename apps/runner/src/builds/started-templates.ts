import { SoulBoxError } from '@soulbox/base';
import type { Template } from '@soulbox/templates';
import type { BuildContext } from './builds.ts';
import { runBuild } from './run-build.ts';
import { startedSnapshotId, templateOfStarted } from '../registry/started-snapshot.ts';

/** Snapshots of templates in the store whose start command has run. Sandboxes of these templates are copies of them. */
export interface StartedTemplates {
  /**
   * Id of the snapshot of a sandbox in which the template's start command runs. The first call makes it, which takes as
   * long as that command needs. Concurrent calls wait for the same snapshot. Throws the errors of a build.
   */
  snapshotOf(template: Template, isolation: string): Promise<string>;
  /** Removes snapshots of templates that are deleted or have lost their name to a newer template. */
  sweep(): Promise<void>;
}

export function createStartedTemplates(context: BuildContext, stopping: AbortSignal): StartedTemplates {
  const { snapshots, templates, references, background, host } = context;
  const underway = new Map<string, Promise<void>>();

  const make = async (snapshotId: string, template: Template, isolation: string): Promise<void> => {
    const { templateId, startCommand = '', readyCommand = '', cpuCount, memoryMb } = template;
    const what = { templateId, startCommand, readyCommand, cpuCount, memoryMb, isolation };
    const base = { kind: 'template' as const, templateId };
    const spec = { ...what, buildId: snapshotId, teamId: '', base, steps: [], force: false, minFreeDiskMb: 0 };
    const outcome = await runBuild(context, spec, () => undefined, stopping);
    if (outcome.kind === 'done') return;
    host.logger.error({ templateId, isolation, err: outcome.error }, 'start command of a template failed');
    throw new SoulBoxError(
      outcome.error.reason,
      `The template "${template.names[0] ?? templateId}" could not be started: ${outcome.error.message}`,
      { cause: outcome.error },
    );
  };

  return {
    async snapshotOf(template, isolation) {
      const snapshotId = startedSnapshotId(template.templateId, isolation);
      if (snapshots.has(snapshotId)) return snapshotId;
      const making =
        underway.get(snapshotId) ??
        make(snapshotId, template, isolation).finally(() => {
          underway.delete(snapshotId);
        });
      underway.set(snapshotId, making);
      await making;
      return snapshotId;
    },
    async sweep() {
      const wanted = new Set(
        (await templates.list()).filter(({ names }) => names.length > 0).map((one) => one.templateId),
      );
      for (const { snapshotId } of snapshots.list()) {
        const templateId = templateOfStarted(snapshotId);
        if (templateId === undefined || wanted.has(templateId)) continue;
        await snapshots.remove(snapshotId);
        background.start(async () => await references.collect());
      }
    },
  };
}
