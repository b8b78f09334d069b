import { isolations } from '@soulbox/contract';

const idForm = new RegExp(`^started([a-z0-9]{20})(?:${isolations.join('|')})$`);

/** Id of the snapshot of a sandbox in which the template's start command runs. The server makes it for itself. */
export function startedSnapshotId(templateId: string, isolation: string): string {
  return `started${templateId}${isolation}`;
}

/** Whether the server made the snapshot for a template. Such a snapshot belongs to no team. */
export function isStarted(snapshotId: string): boolean {
  return idForm.test(snapshotId);
}

/** The template that such a snapshot was made for. Undefined for any other snapshot. */
export function templateOfStarted(snapshotId: string): string | undefined {
  return idForm.exec(snapshotId)?.[1];
}
