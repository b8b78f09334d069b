import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import type { FuseFs } from '@soulbox/fuse';
import { createVolumeFs } from '../mount/volume-fs.ts';
import { openVolume } from '../volume/open.ts';
import { applyOperation, nextOperation } from './killed-operations.ts';
import type { FileOperation, Files, KilledOperation } from './killed-operations.ts';
import { createRandom } from './random.ts';
import { createRequests } from './requests.ts';

/**
 * A program that changes a volume as fast as it can, until it is killed: `DATA ID ROUND WORKERS`. For each change that
 * was answered it prints the number of the worker.
 */
const [data = '', id = '', round = '', workers = ''] = process.argv.slice(2);
// Most of its time is the compilation of what it imports, and it never ends by itself.
flushCompileCache();
const volume = await openVolume(data, id);
const fs = createVolumeFs(volume, { mount: 'm', ttlMs: () => 0 }) as Required<FuseFs>;
const request = createRequests();
const bytes = (name: string): Buffer => Buffer.from(name);

async function carryOut(folder: number, operation: KilledOperation): Promise<void> {
  if (operation.kind === 'rest') await volume.atRest(() => undefined);
  else if (operation.kind === 'sync') await volume.sync();
  else if (operation.kind === 'create') await fs.create(folder, bytes(operation.name), 0o644, 0o200, request());
  else if (operation.kind === 'rename')
    await fs.rename(folder, bytes(operation.name), folder, bytes(operation.newName), 0, request());
  else await changeFile(folder, operation);
}

async function changeFile(folder: number, operation: FileOperation): Promise<void> {
  const name = bytes(operation.name);
  const { nodeId } = await fs.lookup(folder, name, request());
  if (operation.kind === 'unlink') {
    await fs.unlink(folder, name, request());
    fs.forget(nodeId);
  } else if (operation.kind === 'resize')
    await fs.setattr(nodeId, { size: operation.size, killSuidgid: false }, request());
  else {
    const content = Buffer.alloc(operation.length, operation.byte);
    const options = { flags: 0, isWriteback: false, killSuidgid: false };
    await fs.write(nodeId, 0, operation.offset, content, options, request());
  }
}

async function work(worker: number): Promise<never> {
  const folder = (await fs.mkdir(1, bytes(`${round}-${worker}`), 0o755, request())).nodeId;
  const random = createRandom(Number(round) * 1000 + worker);
  const files: Files = new Map();
  for (;;) {
    const operation = nextOperation(files, random);
    await carryOut(folder, operation);
    applyOperation(files, operation);
    writeSync(1, `${worker}\n`);
  }
}

await Promise.all(Array.from({ length: Number(workers) }, async (_, worker) => await work(worker)));
