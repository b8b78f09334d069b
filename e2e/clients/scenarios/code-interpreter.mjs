// What a user of `@e2b/code-interpreter` does, with the version whose module is the first argument.
import { check, method, runSteps } from './steps.mjs';

const { Sandbox } = await import(process.argv[2]);

const steps = {
  async create(state) {
    state.sandbox = await Sandbox.create({ timeoutMs: 120_000 });
  },
  async run({ sandbox }) {
    await sandbox.runCode('x = 41');
    const { text, error } = await sandbox.runCode('x + 1');
    check('value', [text, error?.name], ['42', undefined]);
  },
  async stream({ sandbox }) {
    const seen = [];
    const onStdout = ({ line }) => seen.push(line);
    const { logs } = await sandbox.runCode('import sys\nprint("out")\nprint("err", file=sys.stderr)', { onStdout });
    check('logs', [logs.stdout.join(''), logs.stderr.join(''), seen.join('')], ['out\n', 'err\n', 'out\n']);
  },
  async error({ sandbox }) {
    check('error', (await sandbox.runCode('1 / 0')).error?.name, 'ZeroDivisionError');
  },
  async chart({ sandbox }) {
    const code = 'import matplotlib.pyplot as plt\nplt.plot([1, 2, 3], [1, 4, 9])\nplt.show()';
    const { results } = await sandbox.runCode(code);
    check(
      'picture',
      results.some(({ png }) => typeof png === 'string' && png.length > 1000),
    );
  },
  async javascript({ sandbox }) {
    check('value', (await sandbox.runCode('6 * 7', { language: 'js' })).text, '42');
  },
  async context({ sandbox }) {
    const context = await method(sandbox, 'createCodeContext')({ cwd: '/tmp' });
    await sandbox.runCode('y = 1', { context });
    const { text } = await sandbox.runCode('import os; [y, os.getcwd()]', { context });
    check('context', text, "[1, '/tmp']");
    check('others', (await sandbox.runCode('y')).error?.name, 'NameError');
  },
  async commands({ sandbox }) {
    check('output', (await sandbox.commands.run('echo hi')).stdout, 'hi\n');
  },
  async kill({ sandbox }) {
    check('killed', (await sandbox.kill()) !== false);
  },
};
await runSteps(steps, async ({ sandbox }) => await sandbox?.kill());
