// A plugin of Stryker (docs: "Using an ignore-plugin"): leaves the messages of log calls unchanged. They are prose, and
// a test that repeats them finds no fault. The fields beside them, and whether a line is logged at all, are mutated
// like all other code.

/** The parts of a Babel path that are used here (babel-types: CallExpression, MemberExpression). */
interface Node {
  readonly type: string;
  readonly name?: string;
  readonly callee?: Node;
  readonly object?: Node;
  readonly property?: Node;
}
interface NodePath {
  readonly node: Node;
  readonly parent?: Node;
}

const levels = ['debug', 'info', 'warn', 'error'];

/** `logger.warn`, `context.logger.warn`. */
function isLogMethod({ object, property }: Node): boolean {
  const logger = object?.type === 'MemberExpression' ? object.property : object;
  return logger?.name === 'logger' && levels.includes(property?.name ?? '');
}

function shouldIgnore({ node, parent }: NodePath): string | undefined {
  const isText = node.type === 'StringLiteral' || node.type === 'TemplateLiteral';
  const isLogged = parent?.type === 'CallExpression' && parent.callee !== undefined && isLogMethod(parent.callee);
  return isText && isLogged ? 'the message of a log line' : undefined;
}

export const strykerPlugins = [{ kind: 'Ignore', name: 'log-messages', value: { shouldIgnore } }];
