import { blockBytes, inlineBytes } from '../limits.ts';
import type { Random } from './random.ts';

/** What one worker does to files of a folder of its own, in an order that its seed determines. */
export type KilledOperation =
  | FileOperation
  | { readonly kind: 'create'; readonly name: string }
  | { readonly kind: 'rename'; readonly name: string; readonly newName: string }
  | { readonly kind: 'rest' }
  | { readonly kind: 'sync' };

export type FileOperation =
  | { readonly kind: 'unlink'; readonly name: string }
  | { readonly kind: 'resize'; readonly name: string; readonly size: number }
  | {
      readonly kind: 'write';
      readonly name: string;
      readonly offset: number;
      readonly length: number;
      readonly byte: number;
    };

export type Files = Map<string, Buffer>;

const names = ['a', 'b', 'c'] as const;
const places = [0, 0, 500, inlineBytes - 100, 60_000] as const;
/** Seldom: a model of it has to be copied for each change. */
const farPlace = blockBytes - 4000;
const lengths = [1, 300, 5000, inlineBytes, 150_000] as const;

export function nextOperation(files: Files, random: Random): KilledOperation {
  const name = random.pick(names);
  if (!files.has(name)) return { kind: 'create', name };
  const draw = random.below(20);
  if (draw < 12) {
    const offset = (random.below(20) === 0 ? farPlace : random.pick(places)) + random.below(50);
    return { kind: 'write', name, offset, length: random.pick(lengths), byte: 1 + random.below(255) };
  }
  if (draw < 14) return { kind: 'resize', name, size: random.pick(places) + random.below(50) };
  if (draw < 16) return { kind: 'rename', name, newName: random.pick(names) };
  if (draw < 18) return { kind: 'unlink', name };
  return draw === 18 ? { kind: 'rest' } : { kind: 'sync' };
}

/** Changes `files` as the operation does. Buffers are replaced, never changed. */
export function applyOperation(files: Files, operation: KilledOperation): void {
  if (operation.kind === 'rest' || operation.kind === 'sync') return;
  const { name }: { readonly name: string } = operation;
  const content = files.get(name) ?? Buffer.alloc(0);
  if (operation.kind === 'create') files.set(name, content);
  else if (operation.kind === 'unlink') files.delete(name);
  else if (operation.kind === 'rename') {
    files.delete(name);
    files.set(operation.newName, content);
  } else {
    const end = operation.kind === 'resize' ? operation.size : operation.offset + operation.length;
    const changed = Buffer.alloc(operation.kind === 'resize' ? end : Math.max(end, content.length));
    changed.set(content.subarray(0, changed.length));
    if (operation.kind === 'write') changed.fill(operation.byte, operation.offset, end);
    files.set(name, changed);
  }
}
