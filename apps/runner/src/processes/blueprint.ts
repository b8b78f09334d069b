import type { Template } from '@soulbox/templates';

/** A sandbox that is booted from a template of the store. */
export interface TemplateBlueprint {
  readonly kind: 'template';
  readonly template: Template;
  /** Name of the driver. */
  readonly isolation: string;
}

/** A sandbox that is restored from a snapshot, such as that of a team's template build. */
export interface SnapshotBlueprint {
  readonly kind: 'snapshot';
  readonly snapshotId: string;
}

/** Describes how a spare is made. All spares of a shelf have an equal blueprint. */
export type Blueprint = TemplateBlueprint | SnapshotBlueprint;

/** The same for all blueprints of one shelf. */
export function shelfNameOf(blueprint: Blueprint): string {
  if (blueprint.kind === 'snapshot') return `snapshot ${blueprint.snapshotId}`;
  return `template ${blueprint.template.templateId} ${blueprint.isolation}`;
}
