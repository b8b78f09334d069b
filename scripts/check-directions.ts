/** `npm run directions`: compares every import between our files with directions.config.ts. */
import { cruise } from 'dependency-cruiser';
import * as rules from '../directions.config.ts';
import { judgeImports } from './directions.ts';
import type { Import } from './directions.ts';

const folders = ['apps', 'packages', 'e2e', 'bench', 'scripts'];

const imports = await readImports();
const faults = judgeImports(imports, rules);
for (const fault of faults) console.error(fault);
console.log(`${imports.length} imports, ${faults.length} against directions.config.ts`);
if (faults.length > 0) process.exitCode = 1;

/** Imports between our files, including type-only imports and imports of packages by name. */
async function readImports(): Promise<Import[]> {
  const { output } = await cruise(folders, {
    tsPreCompilationDeps: true,
    includeOnly: `^(${folders.join('|')}|@soulbox)/`,
    exclude: 'node_modules|/gen/|/dist/',
    doNotFollow: 'node_modules',
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'node', 'default'] },
  });
  if (typeof output === 'string') throw new Error('dependency-cruiser gave a report instead of the imports.');
  const lost = output.modules.flatMap(({ source, dependencies }) =>
    dependencies.filter((to) => to.couldNotResolve).map((to) => `${source} -> ${to.module}`),
  );
  if (lost.length > 0) throw new Error(`These imports lead nowhere:\n${lost.join('\n')}`);
  return output.modules.flatMap(({ source, dependencies }) =>
    dependencies.map(({ resolved }): Import => [source, resolved]),
  );
}
