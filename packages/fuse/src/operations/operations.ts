import { opcodes, type OpcodeName } from '../wire/opcodes.ts';
import { fileOperations } from './files.ts';
import { folderOperations } from './folders.ts';
import { lockOperations } from './locks.ts';
import type { Operation } from './operation.ts';
import { treeOperations } from './tree.ts';
import { xattrOperations } from './xattrs.ts';

export interface NamedOperation extends Operation {
  readonly name: OpcodeName;
}

const all = {
  ...treeOperations,
  ...fileOperations,
  ...folderOperations,
  ...xattrOperations,
  ...lockOperations,
} satisfies Partial<Record<OpcodeName, Operation>>;

/** By opcode. What is not here is answered with ENOSYS, or handled by the session. */
export const operations: readonly (NamedOperation | undefined)[] = (() => {
  const table: (NamedOperation | undefined)[] = [];
  for (const [name, operation] of Object.entries(all)) {
    table[opcodes[name as keyof typeof all]] = { name: name as OpcodeName, ...operation };
  }
  return table;
})();
