/** A build is a UUID for clients, and the same digits without dashes for the runner, whose snapshots it names. */
export function runnerIdOf(buildId: string): string {
  return buildId.replaceAll('-', '');
}

const runnerForm = /^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/;

/** The way back; a text of another form gives itself, and no build has such an id. */
export function buildIdFromRunner(id: string): string {
  return id.replace(runnerForm, '$1-$2-$3-$4-$5');
}

/** Whether a snapshot of the runner is a build, and not one that a tenant made of a sandbox: those begin with an `s`. */
export function isBuildSnapshot(snapshotId: string): boolean {
  return runnerForm.test(snapshotId);
}
