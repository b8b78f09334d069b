import { createHash, randomBytes } from 'node:crypto';
import type { Sandbox } from 'e2b';
import type { Random } from '../chaos/random.ts';

const filesMax = 6;
const fileBytesMax = 512 * 1024;

/** From path to the SHA-256 of the acknowledged content. */
export type Content = ReadonlyMap<string, string>;

/** Writes files of random bytes and syncs every other one to disk. */
export async function writeContent(sandbox: Sandbox, random: Random): Promise<Content> {
  const content = new Map<string, string>();
  const count = Math.round(random.between(2, filesMax));
  for (let n = 0; n < count; n++) {
    const bytes = randomBytes(Math.round(random.between(1, fileBytesMax)));
    const path = `/home/user/soak-${n}-${Math.floor(random.between(0, 2 ** 31)).toString(36)}`;
    await sandbox.files.write(path, bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    if (n % 2 === 0) await sandbox.commands.run(`sync ${path}`);
    content.set(path, createHash('sha256').update(bytes).digest('hex'));
  }
  return content;
}

/** Describes the differences from the written content. */
export async function findDifferences(sandbox: Sandbox, content: Content): Promise<string[]> {
  const { stdout } = await sandbox.commands.run(`sha256sum ${[...content.keys()].join(' ')} || true`);
  const found = new Map(
    stdout
      .split('\n')
      .map((line) => line.split(/\s+/))
      .map(([hash = '', path = '']) => [path, hash]),
  );
  return [...content]
    .filter(([path, hash]) => found.get(path) !== hash)
    .map(([path, hash]) => `${path} is ${found.get(path) ?? 'gone'} instead of ${hash}`);
}
