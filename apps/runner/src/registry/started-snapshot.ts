import { isolations } from '@soulbox/contract';

const idForm = new RegExp(`^started([a-z0-9]{20})(?:${isolations.join('|')})$`);

/** Id of the snapshot of a sandbox in which the template's start command runs. The server makes it for itself. */
export function startedSnapshotId(templateId: string, isolation: string): string {
  return `started${templateId}${isolation}`;
}

/** Whether the server made a snapshot for a template; such a snapshot is no team's. */
export function isStarted(snapshotId: string): boolean {
  return idForm.test(snapshotId);
}

/** The template that such a snapshot was made for. Undefined for any other snapshot. */
export function templateOfStarted(snapshotId: string): string | undefined {
  return idForm.exec(snapshotId)?.[1];
}
