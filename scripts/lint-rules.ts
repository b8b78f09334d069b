/** Rules of this repository that the linter does not have. */

/** The parts of a syntax node (ESTree) that these rules read. */
interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}
interface Context {
  report(problem: { readonly node: Node; readonly message: string }): void;
}
const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && 'type' in value;

const noPlainClass = {
  create: (context: Context) => ({
    ClassDeclaration(node: Node) {
      // A subclass, of Error or of a library's class, cannot be anything else.
      if (node['superClass']) return;
      const message = 'Things with a life are made by functions that return an object (CONTRIBUTING.md).';
      context.report({ node, message });
    },
  }),
};

const noRegexInToMatchObject = {
  create: (context: Context) => ({
    CallExpression(node: Node) {
      const { callee } = node;
      if (!isNode(callee) || !isNode(callee['property']) || callee['property']['name'] !== 'toMatchObject') return;
      // It has no properties of its own, so every value matches it.
      const message = 'toMatchObject accepts anything for a regular expression. Use expect.stringMatching.';
      for (const regex of regexValues(node['arguments'])) context.report({ node: regex, message });
    },
  }),
};

/** Regular expressions that are values of properties, at any depth. */
function regexValues(value: unknown): Node[] {
  if (Array.isArray(value)) return value.flatMap(regexValues);
  if (!isNode(value)) return [];
  const found =
    value.type === 'Property' && isNode(value['value']) && 'regex' in value['value'] ? [value['value']] : [];
  const children = Object.entries(value).filter(([key]) => key !== 'parent');
  return [...found, ...children.flatMap(([, child]) => regexValues(child))];
}

export default {
  meta: { name: 'soulbox' },
  rules: { 'no-plain-class': noPlainClass, 'no-regex-in-to-match-object': noRegexInToMatchObject },
};
