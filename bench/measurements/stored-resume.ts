import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { startServer, testDirectory } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { createStorageKey } from '@soulbox/vault';
import { Sandbox } from 'e2b';
import { connectionTo } from '../lab.ts';
import type { Lab } from '../lab.ts';
import { ensureLargeTemplate, largeTemplate } from '../large-template.ts';
import type { Figure } from '../measurement.ts';
import { askResident, fillMemory } from '../resident.ts';
import { recoverServer, untilUploaded, untilWhole } from '../stored.ts';
import { timeMs } from '../time.ts';

const sizesMb = [10, 1024];
const aimMs = 400;
/** Each writes, uploads and fetches all of it. */
const rounds = 3;

/**
 * A sandbox sleeps on a host that loses its data folder. Another one, which has the template, resumes it from a store on
 * local disk: until a program inside answers, and until all of its memory is there.
 */
export async function* resumeFromStore(lab: Lab): AsyncGenerator<Figure> {
  await ensureLargeTemplate();
  for (const residentMb of sizesMb) yield* await measure(lab, residentMb);
}

async function measure(lab: Lab, residentMb: number): Promise<Figure[]> {
  const folder = await mkdtemp(join(testDirectory, 'bench-store-'));
  const keyFile = join(folder, 'key');
  await writeFile(keyFile, createStorageKey(), { mode: 0o600 });
  const times = { upload: [] as number[], answer: [] as number[], whole: [] as number[] };
  const url = `file://${folder}/store`;
  const start = async (dataDirectory?: string): Promise<ServerProcess> =>
    await startServer({
      ...{ instance: lab.buildInstance, poolSize: 0, ...(dataDirectory !== undefined && { dataDirectory }) },
      environment: {
        ...{ SOULBOX_LOG_LEVEL: 'warn', SOULBOX_ISOLATION: lab.isolation },
        ...{ SOULBOX_STORAGE: url, SOULBOX_STORAGE_KEY_FILE: keyFile },
      },
    });
  let server = await start();
  try {
    const connection = { ...connectionTo(server), timeoutMs: 600_000 };
    const sandbox = await Sandbox.create(residentMb > 500 ? largeTemplate : 'base', connection);
    await fillMemory(sandbox, connection.sandboxUrl, residentMb);
    const { sandboxId } = sandbox;
    for (let round = -1; round < rounds; round++) {
      lab.progress(`resume from the store, ${residentMb} MiB, round ${round} of ${rounds}`);
      const at = connectionTo(server);
      await Sandbox.pause(sandboxId, at);
      const upload = await timeMs(async () => await untilUploaded(server));
      // The control plane uploads its records some seconds after they have changed.
      await sleep(8000);
      await server.stop({ keepSandboxes: true });
      const dataDirectory = await recoverServer({ url, keyFile });
      await removeTree(server.dataDirectory);
      server = await start(dataDirectory);
      const now = connectionTo(server);
      const startedAt = performance.now();
      await Sandbox.connect(sandboxId, { ...now, timeoutMs: 600_000 });
      const said = await askResident(now.sandboxUrl, sandboxId);
      const answer = performance.now() - startedAt;
      if (said !== residentMb) throw new Error(`the program inside said ${String(said)} instead of ${residentMb}`);
      await untilWhole(server);
      const whole = performance.now() - startedAt;
      // A sandbox is saved only when all its memory is loaded.
      await sleep(1000 + residentMb);
      if (round < 0) continue;
      times.upload.push(residentMb / (upload / 1000));
      times.answer.push(answer);
      times.whole.push(whole);
    }
    await Sandbox.kill(sandboxId, connectionTo(server));
  } finally {
    await server.stop();
    await removeTree(server.dataDirectory);
    await removeTree(folder);
  }
  const note = 'store in a folder of the same disk; the host has the template';
  return [
    {
      ...{ what: `${residentMb} MiB resident: resume from the store → first answer`, unit: 'ms', note },
      ...{ samples: times.answer, aims: [{ at: 'p50', atMost: aimMs }] },
    },
    { what: `${residentMb} MiB resident: resume from the store → all memory here`, unit: 'ms', samples: times.whole },
    { what: `${residentMb} MiB resident: upload after a pause`, unit: 'MiB/s', samples: times.upload },
  ];
}
