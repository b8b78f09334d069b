import { Sandbox } from '@e2b/code-interpreter';
import { silentLogger } from '@soulbox/base/logger';
import { openTemplateStore } from '@soulbox/templates';
import { testDirectory, testTemplatesDirectory } from '@soulbox/testing';
import { connectionTo } from '../lab.ts';
import type { Measurement } from '../measurement.ts';
import { timeMs } from '../time.ts';

const template = 'code-interpreter-v1';
const what = 'runCode("1+1")';
const languages = ['python', 'javascript', 'typescript', 'r', 'java', 'bash'];

/** From a client's call to its response, through the gateway. */
export const runCode: Measurement = {
  name: 'run-code',
  async *run(lab) {
    if ((await openTemplateStore(testTemplatesDirectory, silentLogger).find(template)) === undefined) {
      yield { what, skipped: `soulbox template make ${template} --data-dir ${testDirectory}` };
      return;
    }
    const options = { timeoutMs: 600_000, ...connectionTo(lab.warm) };
    lab.progress(`${what}, starting the template`);
    const sandbox = await Sandbox.create(template, options);
    const rounds = Math.max(5, Math.floor(lab.rounds / 10));
    const first: number[] = [];
    for (let round = 0; round < rounds; round++) {
      lab.progress(`${what} in a new sandbox, ${round + 1} of ${rounds}`);
      const fresh = await Sandbox.create(template, options);
      first.push(await timeMs(async () => await check(fresh, 'python')));
      await fresh.kill();
    }
    yield { what: `${what}, first in a new sandbox`, unit: 'ms', samples: first, aims: [{ at: 'p50', atMost: 250 }] };
    // The pool replaces the spares that the loop above has used.
    await lab.quiet(lab.warm);
    for (const language of languages) {
      lab.progress(`${what}, ${language}, ${lab.rounds} times`);
      const samples: number[] = [];
      for (let round = -5; round < lab.rounds; round++) {
        const elapsed = await timeMs(async () => await check(sandbox, language));
        if (round >= 0) samples.push(elapsed);
      }
      const aims = language === 'python' ? [{ at: 'p50' as const, atMost: 8 }] : [];
      yield { what: `${what}, ${language}, warm`, unit: 'ms' as const, samples, aims };
    }
    await sandbox.kill();
  },
};

async function check(sandbox: Sandbox, language: string): Promise<void> {
  const isBash = language === 'bash';
  const { text, logs, error } = await sandbox.runCode(isBash ? 'echo $((1+1))' : '1+1', { language });
  const answer = isBash ? logs.stdout.join('') : text;
  if (answer === undefined || !/^(?:\[1\] )?2\n?$/.test(answer))
    throw new Error(`${language} gave ${String(answer)}, ${String(error?.value)}`);
}
