/** Why a sandbox came into a state or left it: the closed list, as docs/events.md prints it (a test compares the two). */
export const causes = {
  request: 'Somebody asked for it through the API.',
  killed: 'Somebody killed it through the API.',
  timeout: 'Its deadline passed.',
  idle: 'It did nothing for as long as its idle timeout says.',
  traffic: 'A request came for it while it was paused, and it resumes by itself.',
  snapshot: 'It was made from a snapshot.',
  fork: 'It was made as a copy of another sandbox.',
  failed: 'Its first process ended by itself, for instance because root inside killed it.',
  out_of_memory: 'It used more memory than it has, where that ends the whole sandbox (isolation gvisor).',
  pause_failed: 'A pause in the background could not be completed, so the sandbox runs on.',
  resume_failed:
    'It could not go on when it was brought back, so it is paused: as it was last, or with its files alone.',
  unconfirmed: 'Its envd did not confirm in time that the sandbox is what it should be, so it was not served.',
  damaged: 'A stored page of its memory did not match its digest when it was needed, so it was stopped first.',
  interrupted:
    'The server, or what brings back a memory, died in the middle of a step; it was completed or undone, or the sandbox ended.',
  host_disk_full:
    'The disk of the host was nearly full, so it was stopped where it stood; it goes on when there is room.',
  host_disk_free: 'There was room on the disk of the host again, so it goes on.',
  lost: 'The runner did not know it any more, asked for it twice, when control plane and runner compared their lists.',
  recovered: 'It had been told of as lost, but the runner had it: the control plane has taken it back.',
} as const satisfies Record<string, string>;

export type Cause = keyof typeof causes;
