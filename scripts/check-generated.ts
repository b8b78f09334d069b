import { glob, mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';

// Generates the protobuf code into a separate folder and compares: the committed code must match spec/.
const repository = join(import.meta.dirname, '..');
const committed = 'packages/contract/src/gen';

const directory = await mkdtemp(join(tmpdir(), 'soulbox-gen-'));
try {
  await run('buf', ['generate', '--output', directory], { cwd: repository });
  const [fresh, present] = await Promise.all([
    readTree(join(directory, committed)),
    readTree(join(repository, committed)),
  ]);
  const names = new Set([...fresh.keys(), ...present.keys()]);
  const stale = [...names].filter((name) => fresh.get(name) !== present.get(name)).sort();
  if (stale.length > 0) {
    console.error(
      `Not up to date with spec/: run npm run proto.\n${stale.map((name) => `  ${committed}/${name}`).join('\n')}`,
    );
    process.exitCode = 1;
  }
} finally {
  await removeTree(directory);
}

async function readTree(root: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for await (const entry of glob('**/*_pb.{js,d.ts}', { cwd: root })) {
    files.set(entry, await readFile(join(root, entry), 'utf8'));
  }
  return files;
}
