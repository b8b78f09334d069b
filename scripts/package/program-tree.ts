import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';
import type { WorkspacePackages } from './workspace-packages.ts';

/** A string of a source file that names another of our files, and its replacement in the package. */
interface Rename {
  /** Offsets of the literal, including its quotes. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

interface SourceFile {
  readonly text: string;
  readonly renames: readonly Rename[];
}

/** All paths are relative to the workspace. */
export interface ProgramTree {
  /** The program: every file that the entry points import or start, by path. */
  readonly sources: ReadonlyMap<string, SourceFile>;
  /** Files that are not Node code (scripts, Python, lock files) of every reached workspace package. */
  readonly assets: readonly string[];
  /** npm packages that the sources import. */
  readonly dependencies: ReadonlySet<string>;
}

/** Files that only tests use. Their folders are not packaged, and no packaged file may import from them. */
const testOnly = /\.test\.ts$|(^|\/)(testing|conformance)\//;
const notAnAsset = /\.ts$|(^|\/)(testing|conformance|node_modules)\/|\.test\.|^[^/]+\/[^/]+\/(package|tsconfig)\.json$/;

/**
 * Follows imports, dynamic imports and strings such as `new URL('main.ts', import.meta.url)` from the entry points.
 * Programs of `standalone` are recorded, but their imports are not followed: each is bundled with all its imports.
 * Throws if a test file is reached.
 */
export function readProgramTree(
  root: string,
  options: {
    readonly entries: readonly string[];
    readonly standalone: readonly string[];
    readonly packages: WorkspacePackages;
  },
): ProgramTree {
  const sources = new Map<string, SourceFile>();
  const dependencies = new Set<string>();
  const pending = [...options.entries];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (sources.has(path) || options.standalone.includes(path)) continue;
    if (testOnly.test(path)) throw new Error(`${path} belongs to tests, and something that is delivered uses it.`);
    const file = readSource(root, path, options.packages);
    sources.set(path, file);
    pending.push(...file.reached);
    for (const name of file.dependencies) dependencies.add(name);
  }
  const rooms = new Set(
    [...sources.keys(), ...options.standalone].map((path) => path.split('/').slice(0, 2).join('/')),
  );
  const assets = [...rooms].flatMap((room) => listFiles(root, room)).filter((path) => !notAnAsset.test(path));
  return { sources, assets: assets.filter((path) => !sources.has(path)).sort(), dependencies };
}

/** The file's name in the package, as plain JavaScript. */
export function outputName(path: string): string {
  return path.replace(/\.ts$/, '.js');
}

export function applyRenames({ text, renames }: SourceFile): string {
  return renames
    .toSorted((one, other) => other.start - one.start)
    .reduce((changed, { start, end, text: name }) => `${changed.slice(0, start)}'${name}'${changed.slice(end)}`, text);
}

interface ReadFile extends SourceFile {
  readonly reached: readonly string[];
  readonly dependencies: readonly string[];
}

function readSource(root: string, path: string, packages: WorkspacePackages): ReadFile {
  const text = readFileSync(join(root, path), 'utf8');
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
  const renames: Rename[] = [];
  const reached: string[] = [];
  const dependencies: string[] = [];
  const renameTo = (literal: ts.StringLiteralLike, name: string): void => {
    if (name !== literal.text) renames.push({ start: literal.getStart(tree), end: literal.end, text: name });
  };

  const follow = (literal: ts.StringLiteralLike): void => {
    const target = literal.text.startsWith('.') ? join(dirname(path), literal.text) : packages.resolve(literal.text);
    if (target !== undefined) {
      reached.push(target);
      const name = relative(dirname(path), outputName(target));
      renameTo(literal, name.startsWith('.') ? name : `./${name}`);
    } else if (!literal.text.startsWith('node:')) dependencies.push(packageName(literal.text));
  };

  /** Any other string is one of our files if it leads to one, from the place where such strings are resolved. */
  const look = (literal: ts.StringLiteralLike): void => {
    if (!/^[\w@./-]+\.(ts|mjs)$/.test(literal.text)) return;
    const room = path.split('/').slice(0, 2).join('/');
    const target = [dirname(path), room, '.']
      .map((from) => join(from, literal.text))
      .find((name) => isFile(root, name));
    if (target === undefined || target === path) return;
    reached.push(target);
    renameTo(literal, outputName(literal.text));
  };

  const visit = (node: ts.Node): void => {
    if (ts.isImportTypeNode(node)) return;
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
      if (!isErased(node) && node.moduleSpecifier !== undefined) follow(node.moduleSpecifier as ts.StringLiteral);
      return;
    }
    const [argument] = ts.isCallExpression(node) ? node.arguments : [];
    if (isImport(node) && argument !== undefined && ts.isStringLiteralLike(argument)) follow(argument);
    else if (ts.isStringLiteralLike(node)) look(node);
    else ts.forEachChild(node, visit);
  };
  visit(tree);
  return { text, renames, reached, dependencies };
}

/** Both lead to a module: one loads it, the other returns its path, to start it as a program. */
export function isImport(node: ts.Node): boolean {
  if (!ts.isCallExpression(node)) return false;
  return node.expression.kind === ts.SyntaxKind.ImportKeyword || node.expression.getText() === 'import.meta.resolve';
}

function isErased(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(node)) return node.isTypeOnly;
  return node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function isFile(root: string, path: string): boolean {
  return !path.startsWith('..') && statSync(join(root, path), { throwIfNoEntry: false })?.isFile() === true;
}

function listFiles(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}
