import { getRuntime } from '@soulbox/runtimes';
import type { Language, RuntimeName } from '@soulbox/runtimes';
import { run } from '@soulbox/base';
import { findTemplateFolder } from '@soulbox/testing/engines';
import type { Lab } from '../lab.ts';
import type { Measurement } from '../measurement.ts';
import { percentile } from '../statistics.ts';
import { timeMs } from '../time.ts';

const template = 'runtimes';
/** In the first rounds Go compiles its library, and every file is read into the page cache. */
const warmUpRounds = 2;

const programs: readonly (readonly [RuntimeName, Language, code: string])[] = [
  ['python', 'python', 'print("hello")'],
  ['node', 'typescript', 'console.log("hello")'],
  ['bun', 'typescript', 'console.log("hello")'],
  ['deno', 'typescript', 'console.log("hello")'],
  ['bash', 'bash', 'echo hello'],
  ['r', 'r', 'cat("hello\\n")'],
  ['java', 'java', 'class Main { public static void main(String[] a) { System.out.println("hello"); } }'],
  ['go', 'go', 'package main\nfunc main() { println("hello") }'],
  ['ruby', 'ruby', 'puts "hello"'],
  ['php', 'php', '<?php echo "hello";'],
  ['lua', 'lua', 'print("hello")'],
];

/**
 * Hello world through `POST /sandboxes/{id}/run`, compared with the same program of the same template started on the
 * host.
 */
export const runPrograms: Measurement = {
  name: 'run-programs',
  async *run(lab) {
    const folder = await findTemplateFolder(template);
    if (folder === undefined) {
      yield {
        what: 'hello world by run',
        skipped: `the template has not been made: soulbox template make ${template}`,
      };
      return;
    }
    const rounds = Math.max(5, Math.floor(lab.rounds / 5));
    const sandbox = await lab.create(lab.warm, template);
    for (const program of programs) {
      lab.progress(`hello world of ${program[0]}, ${rounds} times`);
      const bare = await bareMs(`${folder}/rootfs`, program, rounds);
      const through = await throughMs(lab, sandbox.sandboxId, program, rounds);
      const base = percentile(bare, 0.5);
      yield* [
        { what: `hello world of ${program[0]}, bare on the host`, unit: 'ms', samples: bare },
        {
          what: `hello world of ${program[0]} by run, above that`,
          unit: 'ms',
          samples: through.map((elapsed) => elapsed - base),
          aims: [{ at: 'p50', atMost: 30 }],
        },
      ];
    }
    await sandbox.kill();
  },
};

async function throughMs(
  lab: Lab,
  sandboxId: string,
  [runtime, language, code]: (typeof programs)[number],
  rounds: number,
): Promise<number[]> {
  const samples: number[] = [];
  for (let round = -warmUpRounds; round < rounds; round++) {
    const elapsed = await timeMs(async () => {
      const status = await lab.call(lab.warm, 'POST', `/sandboxes/${sandboxId}/run`, { runtime, language, code });
      if (status !== 200) throw new Error(`run of ${runtime} answered ${status}`);
    });
    if (round >= 0) samples.push(elapsed);
  }
  return samples;
}

// The template's files, read-only, and a writable /tmp, in a mount namespace of its own. Prints when each round began
// and ended.
const bareScript =
  'mount --bind -o ro "$1" "$1" && mount --rbind /dev "$1/dev" && mount -t proc proc "$1/proc" && ' +
  'mount -t tmpfs tmpfs "$1/tmp" && printf %s "$CODE" > "$1/tmp/$NAME" && exec chroot "$@"';
const timingScript =
  'rounds=$1; shift; for ((i = 0; i < rounds; i++)); do a=$EPOCHREALTIME; "$@" >/dev/null 2>&1 || exit; echo "$a $EPOCHREALTIME"; done';

async function bareMs(
  rootfs: string,
  [name, language, code]: (typeof programs)[number],
  rounds: number,
): Promise<number[]> {
  const runtime = getRuntime(name);
  const codeFile = runtime.codeFile(language);
  const fileName = codeFile?.place === 'apart' ? codeFile.name : `main${codeFile?.name ?? ''}`;
  const task = {
    language,
    file: `/tmp/${fileName}`,
    project: undefined,
    args: [],
    memoryMb: undefined,
    permissions: {},
  };
  const execution = runtime.execute(task);
  if (execution === undefined) throw new Error(`${name} runs no file`);
  const count = String(warmUpRounds + rounds);
  const output = await run(
    'unshare',
    ['--mount', 'sh', '-c', bareScript, 'sh', rootfs, 'bash', '-c', timingScript, 'bash', count, ...execution.command],
    {
      timeoutMs: 600_000,
      env: {
        PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin',
        HOME: '/tmp',
        ...execution.env,
        CODE: code,
        NAME: fileName,
      },
    },
  );
  const samples = output
    .trim()
    .split('\n')
    .map((line) => {
      const [began = 0, ended = 0] = line.split(' ').map(Number);
      return (ended - began) * 1000;
    });
  return samples.slice(warmUpRounds);
}
