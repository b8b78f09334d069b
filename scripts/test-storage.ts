import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { removeTree } from '@soulbox/base';
import { openObjectStore } from '@soulbox/storage/objects';
import type { ObjectStore } from '@soulbox/storage/objects';
import { findChosenStore, listManyObjects, passLargeObject } from '@soulbox/storage/testing-objects';
import type { Taken } from '@soulbox/storage/testing-objects';
import { collectManyPacks } from '@soulbox/volumes/collections';
import { killWriter } from '@soulbox/volumes/kills';
import { compareWithModel } from '@soulbox/volumes/model';
import { runPosixSuite, runRandomContent } from '@soulbox/volumes/posix-suite';
import { hasStressPrograms, onEachMount, stress, stressors, testPosix, verifyWrites } from '@soulbox/volumes/stress';

/**
 * The long form of tests of object stores and volumes: a large object, a list and a collection of many objects in a
 * folder, kills of a process that writes a volume, a comparison with a model, and programs that try file systems, on
 * mounts: stress-ng, fio, the suite of POSIX calls with 65,000 names of a file, and pjdfstest if SOULBOX_PJDFSTEST is
 * the folder of a built one. With SOULBOX_TEST_STORAGE, the large object goes to that store too.
 */
const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '500' },
    /** Of a service that uploads, and as many of a collection in the store. */
    'store-kills': { type: 'string', default: '250' },
    seeds: { type: 'string', default: '100' },
    steps: { type: 'string', default: '400' },
    /** Random calls on one file of a mount, whose content is compared with a model after each. */
    calls: { type: 'string', default: '20000' },
    /** In one folder. */
    objects: { type: 'string', default: '1000000' },
    /** MiB. */
    large: { type: 'string', default: '10240' },
    /** For each stressor. 0: no mounts, which need root. */
    seconds: { type: 'string', default: '5' },
  },
});
const compileCache = join(import.meta.dirname, '../node_modules/.cache/tests-compile');
const inFolder = async <T>(work: (data: string) => Promise<T>): Promise<T> => {
  const data = mkdtempSync(join(tmpdir(), 'soulbox-volume-'));
  try {
    return await work(data);
  } finally {
    await removeTree(data);
  }
};

/** MiB by which the process may grow, whatever the sizes are. */
const grownMax = { object: 256, list: 384, collection: 1024 };
const tell = (what: string, { seconds, grownMib }: Taken, most: number): void => {
  console.log(`${what}: ${seconds.toFixed(1)} s, ${grownMib} MiB more memory at most`);
  if (grownMib > most) throw new Error(`${what} took more than ${most} MiB of memory.`);
};
const passLarge = async (store: ObjectStore, where: string): Promise<void> => {
  const { put, get } = await passLargeObject(store, Number(values.large));
  tell(`write of an object of ${values.large} MiB, ${where}`, put, grownMax.object);
  tell(`read of an object of ${values.large} MiB, ${where}`, get, grownMax.object);
};
const chosen = findChosenStore(process.env);
if (Number(values.large) > 0) {
  await inFolder(async (data) => {
    await using store = await openObjectStore(`file://${data}/store`);
    await passLarge(store, 'in a folder');
  });
  if (chosen !== undefined) {
    try {
      await using store = await chosen.open('large/');
      await passLarge(store, chosen.url);
    } finally {
      await chosen.clear();
    }
  }
}
if (Number(values.objects) > 0)
  await inFolder(async (data) => {
    const count = Number(values.objects);
    tell(`list of ${count} objects of a folder`, await listManyObjects(data, count), grownMax.list);
    const { mark, sweep } = await collectManyPacks(data, count);
    tell(`collection of ${count} packs of a volume, first run`, mark, grownMax.collection);
    tell('the same, when a tenth of them is due', sweep, grownMax.collection);
  });

const { answered, violations } = await inFolder((data) =>
  killWriter({
    ...{ data, rounds: Number(values.kills), lifeMsMax: 100, random: Math.random, compileCache },
    onRound: (round) => {
      if (round % 50 === 0) console.log(`${round} kills`);
    },
  }),
);
console.log(`${values.kills} kills, ${answered} answered changes, ${violations.length} broken promises`);
for (const line of violations) console.log(`- ${line}`);

const firstSeed = Math.floor(Math.random() * 1e9);
for (let seed = firstSeed; seed < firstSeed + Number(values.seeds); seed += 1)
  await inFolder((data) => compareWithModel({ data, seed, steps: Number(values.steps) }));
console.log(`${values.seeds} comparisons of ${values.steps} operations with a model, from seed ${firstSeed}`);

const { SOULBOX_PJDFSTEST: pjdfstest = '' } = process.env;
const isMountable = process.getuid?.() === 0 && existsSync('/dev/fuse') && Number(values.seconds) > 0;
if (!isMountable) console.log('no mounts: they need root and /dev/fuse');
else
  await inFolder(
    async (data) =>
      await onEachMount(data, async (folder, kind) => {
        if (hasStressPrograms()) {
          const passed = await stress(folder, { stressors, seconds: Number(values.seconds) });
          console.log(`${kind} mount: ${passed} of ${stressors.length} stressors of stress-ng passed`);
          await verifyWrites(folder, 512);
          console.log(`${kind} mount: fio has read what it had written`);
        } else console.log('no stress-ng and fio: install these packages');
        const seed = Math.floor(Math.random() * 1e9);
        console.log(`${kind} mount: ${await runRandomContent(join(folder, 'random'), Number(values.calls), seed)}`);
        const { checks, differences } = await runPosixSuite(folder, ['--links']);
        console.log(`${kind} mount: ${checks} checks of calls and errors, ${differences.length} differ`);
        if (differences.length > 0) throw new Error(differences.join('\n'));
        if (pjdfstest === '') console.log('no pjdfstest: SOULBOX_PJDFSTEST is not set');
        else console.log(`${kind} mount: pjdfstest\n${await testPosix(pjdfstest, folder)}`);
      }),
  );
/** Runs tests in their long form. Returns whether they passed. */
const runLong = (args: readonly string[], env: Readonly<Record<string, string>>): boolean => {
  const vitest = join(import.meta.dirname, '../node_modules/.bin/vitest');
  const options = { cwd: join(import.meta.dirname, '..'), env: { ...process.env, ...env }, stdio: 'inherit' } as const;
  return spawnSync(vitest, ['run', ...args], options).status === 0;
};
const killed = [
  'apps/volumes/src/storage/killed-service.test.ts',
  'packages/volumes/src/stored/killed-rewriter.test.ts',
];
const hasSurvived =
  values['store-kills'] === '0' ||
  runLong(['--project', 'unit', '--retry', '0', ...killed], { SOULBOX_TEST_KILLS: values['store-kills'] });
if (hasSurvived && values['store-kills'] !== '0')
  console.log(`${values['store-kills']} kills of a service that uploads, and as many of a collection: nothing is lost`);
// The same programs in a sandbox, on a server of their own.
const isInsideFine =
  !isMountable ||
  !hasStressPrograms() ||
  runLong(['--project', 'e2e', 'e2e/volumes/stress.test.ts'], { SOULBOX_TEST_SECONDS: values.seconds });
process.exit(violations.length === 0 && hasSurvived && isInsideFine ? 0 : 1);
