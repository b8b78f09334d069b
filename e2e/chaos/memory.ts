import type { Sandbox } from 'e2b';
import type { CycleContext } from './cycle-context.ts';
import { runPatiently } from './cycle-context.ts';

// A process inside holds a word in its memory and on no disk. As long as it prints the word, its memory is the old one.
// It also counts in memory and in a file, and compares the two each time: memory of one moment on a disk of another
// differs.

/** Starts the process. A repeated call starts it twice, which is harmless. */
export async function remember(context: CycleContext, sandbox: Sandbox, word: string): Promise<boolean> {
  const count = 'n=$((n + 1)); echo $n >> $log';
  // Without other programs: a killed CRIU may end one of them, and the shell would take its silence for a difference.
  const compare =
    'mapfile -t l < $log; [ "${l[-1]} ${#l[@]}" = "$n $n" ] || echo "memory $n, file ${l[-1]}" > /tmp/broken';
  const tell = '[ -e /tmp/ask ] && { rm -f /tmp/ask; printf %s "$word" > /tmp/told; }';
  const loop = `word=${word}; n=0; log=/tmp/log.$BASHPID; while sleep ${context.beat}; do ${count}; ${compare}; ${tell}; done`;
  const output = await runPatiently(
    context,
    sandbox,
    `setsid -f bash -c '${loop}' </dev/null >/dev/null 2>&1; echo on`,
  );
  return output === 'on\n';
}

/**
 * The output of the process. Empty if it prints nothing within 2 s, because the server rarely lives longer. Undefined
 * if the sandbox is gone.
 */
export async function recall(context: CycleContext, sandbox: Sandbox): Promise<string | undefined> {
  const wait = 'for i in $(seq 40); do [ -s /tmp/told ] && break; sleep 0.05; done';
  return await runPatiently(
    context,
    sandbox,
    `rm -f /tmp/told; touch /tmp/ask; ${wait}; cat /tmp/told /tmp/broken 2>/dev/null || true`,
  );
}
