import { parse } from 'acorn';
import type { AnyNode, ImportDeclaration, Program } from 'acorn';
import { hookExpression } from './scope.ts';

/**
 * Evaluated code cannot `import`: declarations become an awaited call, and `import()` and `import.meta` are replaced as
 * well. `export` is removed. Code that does not parse stays unchanged, so that V8 reports the error.
 */
export function rewriteImports(code: string): string {
  if (!/\b(?:import|export)\b/.test(code)) return code;
  let program: Program;
  try {
    program = parse(code, { ecmaVersion: 'latest', sourceType: 'module', allowHashBang: true });
  } catch {
    return code;
  }
  const edits: Edit[] = [];
  visit(program, (node) => collect(node, code, edits));
  return apply(code, edits);
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

function collect(node: AnyNode, code: string, edits: Edit[]): void {
  switch (node.type) {
    case 'ImportDeclaration':
      edits.push({ start: node.start, end: node.end, text: declarationText(node) });
      break;
    case 'ImportExpression':
      edits.push({ start: node.start, end: node.start + 'import'.length, text: `${hookExpression}.load` });
      break;
    case 'MetaProperty':
      if (node.meta.name === 'import') edits.push({ start: node.start, end: node.end, text: `${hookExpression}.meta` });
      break;
    case 'ExportNamedDeclaration':
    case 'ExportDefaultDeclaration': {
      const kept = node.declaration;
      edits.push({ start: node.start, end: kept?.start ?? node.end, text: '' });
      break;
    }
    case 'ExportAllDeclaration':
      edits.push({ start: node.start, end: node.end, text: '' });
      break;
    default:
  }
}

function declarationText(node: ImportDeclaration): string {
  const attributes = node.attributes.map(({ key, value }) => {
    const name = key.type === 'Identifier' ? key.name : String(key.value);
    return `${JSON.stringify(name)}: ${JSON.stringify(value.value)}`;
  });
  const options = attributes.length === 0 ? '' : `, { with: { ${attributes.join(', ')} } }`;
  const loaded = `await ${hookExpression}.load(${JSON.stringify(node.source.value)}${options})`;
  const names: string[] = [];
  let namespace: string | undefined;
  for (const specifier of node.specifiers) {
    if (specifier.type === 'ImportNamespaceSpecifier') namespace = specifier.local.name;
    else if (specifier.type === 'ImportDefaultSpecifier') names.push(`default: ${specifier.local.name}`);
    else {
      const { imported, local } = specifier;
      const name = imported.type === 'Identifier' ? imported.name : JSON.stringify(imported.value);
      names.push(`${name}: ${local.name}`);
    }
  }
  if (namespace !== undefined) {
    const rest = names.length === 0 ? '' : ` const { ${names.join(', ')} } = ${namespace};`;
    return `const ${namespace} = ${loaded};${rest}`;
  }
  return names.length === 0 ? `${loaded};` : `const { ${names.join(', ')} } = ${loaded};`;
}

/** Visits every node of the tree, of any kind. Every value that looks like a node is a child. */
function visit(node: AnyNode, take: (node: AnyNode) => void): void {
  take(node);
  for (const value of Object.values(node) as unknown[])
    for (const child of Array.isArray(value) ? (value as unknown[]) : [value]) if (isNode(child)) visit(child, take);
}

const isNode = (value: unknown): value is AnyNode =>
  typeof value === 'object' && value !== null && 'type' in value && 'start' in value;

/** Edits do not overlap. An import() inside an exported declaration starts after the end of the edit for `export`. */
function apply(code: string, edits: readonly Edit[]): string {
  let result = '';
  let at = 0;
  for (const { start, end, text } of [...edits].sort((one, other) => one.start - other.start)) {
    result += code.slice(at, start) + text;
    at = end;
  }
  return result + code.slice(at);
}
