import type { RunnerProcess } from '@soulbox/testing';

/**
 * A program that holds the same count in its memory and in a file, and compares the two at every step. With memory of
 * one moment on a disk of another they differ: the file has a record that the program did not write, or lacks one.
 */
const program = `
import os, time
log = open('/home/user/log', 'w+b', buffering=0)
count = 0
while True:
    count += 1
    log.write(count.to_bytes(8, 'big'))
    size = log.seek(0, os.SEEK_END)
    log.seek(size - 8)
    last = int.from_bytes(log.read(8), 'big')
    named = os.stat('/home/user/log').st_size
    if (size, last, named) != (count * 8, count, count * 8):
        with open('/home/user/broken', 'a') as broken:
            broken.write('memory %d, file %d, last %d, by name %d\\n' % (count, size // 8, last, named // 8))
        log.seek(0); log.truncate()
        log.write(b''.join(n.to_bytes(8, 'big') for n in range(1, count + 1)))
    with open('/home/user/count.new', 'w') as new:
        new.write(str(count))
    os.rename('/home/user/count.new', '/home/user/count')
    time.sleep(0.005)
`;

/** The state of a witness. `fresh`: its sandbox started afresh on its files, so its memory is gone. */
export type Testimony = 'agrees' | 'fresh' | { readonly complaint: string };

export async function startWitness(runner: RunnerProcess, sandboxId: string): Promise<void> {
  const write = `echo ${Buffer.from(program).toString('base64')} | base64 -d > /home/user/witness.py`;
  const start = 'setsid python3 /home/user/witness.py > /home/user/witness.log 2>&1 < /dev/null & echo';
  await shell(runner, sandboxId, `rm -f /home/user/broken /home/user/count; ${write}; ${start}`);
  await shell(runner, sandboxId, 'for n in $(seq 500); do [ -s /home/user/count ] && break; sleep 0.02; done');
  const testimony = await askWitness(runner, sandboxId);
  if (testimony !== 'agrees') throw new Error(`the witness does not begin: ${JSON.stringify(testimony)}`);
}

/** Asks the witness of a running sandbox. */
export async function askWitness(runner: RunnerProcess, sandboxId: string): Promise<Testimony> {
  const look =
    'cat /home/user/broken 2>/dev/null; echo "$(pgrep -fc "^python3 .*witness" || :) $(cat /home/user/count)"';
  const first = await shell(runner, sandboxId, look);
  const [running, before] = lastLineOf(first).split(' ').map(Number);
  if (first.includes('memory')) return { complaint: first.trim() };
  if (running === 0) return 'fresh';
  if (running !== 1) return { complaint: `${String(running)} witnesses run` };
  const second = await shell(runner, sandboxId, `sleep 0.1; ${look}`);
  if (second.includes('memory')) return { complaint: second.trim() };
  const [, after] = lastLineOf(second).split(' ').map(Number);
  return (after ?? 0) > (before ?? 0) ? 'agrees' : { complaint: `the witness stands still at ${String(after)}` };
}

async function shell(runner: RunnerProcess, sandboxId: string, command: string): Promise<string> {
  return String((await runner.call('shell', { sandboxId, command }))['output']);
}

function lastLineOf(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}
