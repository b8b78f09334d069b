/** Why a sandbox entered or left a state. The list is closed; docs/events.md prints it (a test compares the two). */
export const causes = {
  request: 'The API received a request for it.',
  killed: 'It was killed through the API.',
  timeout: 'Its deadline passed.',
  idle: 'It was inactive for its idle timeout.',
  traffic: 'A request arrived while it was paused, and it resumes automatically.',
  snapshot: 'It was created from a snapshot.',
  fork: 'It was created as a fork of another sandbox.',
  budget: 'It was paused or ended because its team, or the API key that created it, has used up a budget.',
  failed: 'Its first process ended, for example because root inside the sandbox killed it.',
  out_of_memory: 'It used more memory than its limit, and its isolation ends the whole sandbox in this case.',
  pause_failed: 'A background pause could not be completed, so the sandbox continues to run.',
  resume_failed: 'It could not be resumed, so it is paused: unchanged, or with its files only.',
  unconfirmed: 'Its envd did not confirm the identity of the sandbox in time, so the sandbox was not served.',
  damaged: 'A stored page of its memory did not match its digest when it was needed, so the sandbox was stopped first.',
  interrupted:
    'The server, or the process that restores memory, died during a step. The step was completed or undone, or the sandbox ended.',
  host_disk_full: 'The disk of the host was nearly full, so the sandbox was frozen. It continues when there is space.',
  host_disk_free: 'The disk of the host has space again, so the sandbox continues.',
  lost: 'The control plane compared its list of sandboxes with that of the runner, and twice the runner did not know the sandbox.',
  recovered: 'The sandbox was reported as lost, but the runner has it. The control plane has adopted it again.',
} as const satisfies Record<string, string>;

export type Cause = keyof typeof causes;
