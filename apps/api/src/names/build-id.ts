/** For clients a build has a UUID. The runner uses the same digits without dashes, as the name of its snapshot. */
export function runnerIdOf(buildId: string): string {
  return buildId.replaceAll('-', '');
}

const runnerForm = /^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/;

/** The reverse. Text of another form is returned unchanged, and no build has such an id. */
export function buildIdFromRunner(id: string): string {
  return id.replace(runnerForm, '$1-$2-$3-$4-$5');
}

/** Whether a snapshot of the runner is a build. Snapshots that tenants made of sandboxes start with an `s`. */
export function isBuildSnapshot(snapshotId: string): boolean {
  return runnerForm.test(snapshotId);
}
