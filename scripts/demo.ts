import { styleText } from 'node:util';
import { Sandbox } from 'e2b';

// The official E2B client, unmodified. E2B_API_URL, E2B_SANDBOX_URL and E2B_API_KEY direct it to this machine.
async function step<T>(what: string, action: () => Promise<T>, show: (value: T) => string): Promise<T> {
  const startedAt = performance.now();
  const value = await action();
  const time = `${(performance.now() - startedAt).toFixed(0)} ms`;
  console.log(`${styleText('green', '✓')} ${what.padEnd(28)} ${styleText('dim', time.padStart(7))}  ${show(value)}`);
  return value;
}

process.on('uncaughtException', (error) => {
  console.error(`${styleText('red', '✗')} ${error.message}`);
  process.exit(1);
});
console.log(`\n${styleText('bold', 'Demonstration with the official e2b package')}`);
const sandbox = await step(
  'create a sandbox',
  async () => await Sandbox.create({ timeoutMs: 60_000 }),
  (created) => created.sandboxId,
);
try {
  const output = (result: { stdout: string }): string => result.stdout.trim();
  await step(
    'run Python',
    async () =>
      await sandbox.commands.run(`python3 -c "import platform; print('Python', platform.python_version(), 6 * 7)"`),
    output,
  );
  await step(
    'run Node.js',
    async () => await sandbox.commands.run(`node -e "console.log('Node.js', process.version, 6 * 7)"`),
    output,
  );
  await step(
    'who am I inside',
    async () => await sandbox.commands.run('echo "$(id -un), with sudo $(sudo id -un)"'),
    output,
  );
  await step(
    'write a file',
    async () => await sandbox.files.write('hello.txt', 'Hello from outside'),
    (file) => file.path,
  );
  await step(
    'read it back',
    async () => await sandbox.files.read('hello.txt'),
    (text) => text,
  );
} finally {
  await step(
    'kill the sandbox',
    async () => await sandbox.kill(),
    (killed) => (killed ? 'gone' : 'was gone already'),
  );
}
