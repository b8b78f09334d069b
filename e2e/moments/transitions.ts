import { Sandbox, Template } from 'e2b';

/** A transition of a sandbox from one state to another, which takes some time. */
export interface Transition {
  readonly name: string;
  /** Brings a running sandbox to the state in which it starts. */
  readonly prepare: (sandbox: Sandbox) => Promise<unknown>;
  readonly act: (sandbox: Sandbox) => Promise<unknown>;
  /** Whether the sandbox must be gone afterwards. */
  readonly ends: boolean;
}

const nothing = (): Promise<void> => Promise.resolve();
const pause = (sandbox: Sandbox): Promise<unknown> => sandbox.pause();
const wake = (sandbox: Sandbox): Promise<unknown> => Sandbox.connect(sandbox.sandboxId, { timeoutMs: 600_000 });

const pauseInBackground = async ({ sandboxId }: Sandbox): Promise<void> => {
  const url = `${process.env['E2B_API_URL'] ?? ''}/sandboxes/${sandboxId}/pause`;
  const headers = { 'X-API-Key': process.env['E2B_API_KEY'] ?? '', 'Content-Type': 'application/json' };
  const body = JSON.stringify({ durability: 'in-background' });
  const response = await fetch(url, { method: 'POST', headers, body });
  await response.body?.cancel();
};

let builds = 0;

export const transitions: readonly Transition[] = [
  { name: 'pause', prepare: nothing, act: pause, ends: false },
  { name: 'pause in the background', prepare: nothing, act: pauseInBackground, ends: false },
  { name: 'thaw', prepare: pauseInBackground, act: wake, ends: false },
  { name: 'resume', prepare: pause, act: wake, ends: false },
  { name: 'fork', prepare: nothing, act: (sandbox) => sandbox.fork({ timeoutMs: 60_000 }), ends: false },
  { name: 'snapshot', prepare: nothing, act: (sandbox) => sandbox.createSnapshot(), ends: false },
  { name: 'snapshot of a paused one', prepare: pause, act: (sandbox) => sandbox.createSnapshot(), ends: false },
  { name: 'kill', prepare: nothing, act: (sandbox) => sandbox.kill(), ends: true },
  { name: 'kill of a paused one', prepare: pause, act: (sandbox) => sandbox.kill(), ends: true },
  {
    name: 'build',
    prepare: nothing,
    // Another step each time, because a cached step takes no time.
    act: () => Template.build(Template().fromBaseImage().runCmd(`echo ${++builds}`), `moments-${builds % 4}`),
    ends: false,
  },
];
