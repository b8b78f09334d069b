import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';
import { isImport, outputName } from './program-tree.ts';

/** Strings that end like one of our source files but are something else: extensions, and names of tenants' files. */
const otherNames = new Set(['.ts', '.test.ts', 'index.ts', 'main.ts', 'mod.ts']);

/**
 * Reads the result again, independently: every import must lead to a file or to one of `dependencies`, and no string
 * may name a file that only a clone has. `bundles`, named by their sources, import nothing. Returns descriptions of the
 * faults.
 */
export function checkProgram(
  target: string,
  { dependencies, bundles }: { readonly dependencies: ReadonlySet<string>; readonly bundles: readonly string[] },
): string[] {
  const faults: string[] = [];
  const skipped = bundles.map(outputName);
  for (const path of listScripts(target).filter((name) => !skipped.includes(name))) {
    const file = join(target, path);
    const tree = ts.createSourceFile(path, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true, ts.ScriptKind.JS);
    const visit = (node: ts.Node): void => {
      if (ts.isStringLiteralLike(node)) {
        const fault = isSpecifier(node)
          ? findImportFault(file, node.text, dependencies)
          : findPathFault(dirname(file), node);
        if (fault !== undefined) faults.push(`${path}: ${fault}`);
      }
      ts.forEachChild(node, visit);
    };
    visit(tree);
  }
  return faults;
}

function isSpecifier(node: ts.StringLiteralLike): boolean {
  const { parent } = node;
  if (ts.isImportDeclaration(parent) || ts.isExportDeclaration(parent)) return parent.moduleSpecifier === node;
  return isImport(parent);
}

function findImportFault(file: string, specifier: string, dependencies: ReadonlySet<string>): string | undefined {
  if (specifier.startsWith('.')) {
    return existsSync(join(dirname(file), specifier)) ? undefined : `imports ${specifier}, which is not there`;
  }
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  return isBuiltin(specifier) || dependencies.has(name) ? undefined : `imports ${specifier}, which is no dependency`;
}

function findPathFault(folder: string, node: ts.StringLiteralLike): string | undefined {
  const isNameOfSource = /^\S*\.ts$/.test(node.text) && !otherNames.has(node.text);
  if (isNameOfSource) return `names ${node.text}, which only a clone has`;
  const { parent } = node;
  const isUrl = ts.isNewExpression(parent) && parent.expression.getText() === 'URL' && parent.arguments?.length === 2;
  if (!isUrl || parent.arguments[0] !== node || parent.arguments[1]?.getText() !== 'import.meta.url') return undefined;
  return existsSync(join(folder, node.text)) ? undefined : `names ${node.text}, which is not there`;
}

function listScripts(target: string): string[] {
  return readdirSync(target, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.m?js$/.test(entry.name))
    .map((entry) => relative(target, join(entry.parentPath, entry.name)))
    .filter((path) => !path.startsWith('node_modules/'))
    .sort();
}
