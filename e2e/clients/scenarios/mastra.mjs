// The sandbox of a Mastra workspace.
import { check, runSteps } from './steps.mjs';

const { E2BSandbox } = await import(process.argv[2]);
const id = `clients-${process.pid}-${Date.now()}`;

const steps = {
  async create(state) {
    state.sandbox = new E2BSandbox({ id, template: 'base', timeout: 120_000, env: { GREETING: 'hello' } });
    await state.sandbox.start();
  },
  async commands({ sandbox }) {
    check('output', (await sandbox.executeCommand('sh', ['-c', 'echo "$GREETING"'])).stdout, 'hello\n');
    check('exit code', (await sandbox.executeCommand('sh', ['-c', 'exit 3'])).exitCode, 3);
  },
  async files({ sandbox }) {
    await sandbox.writeFiles([{ path: '/home/user/a.txt', content: Buffer.from('one') }]);
    check('text', (await sandbox.executeCommand('cat', ['/home/user/a.txt'])).stdout, 'one');
  },
  async processes({ sandbox }) {
    const handle = await sandbox.processes.spawn('cat');
    await handle.sendStdin('typed\n');
    await new Promise((resolve) => setTimeout(resolve, 500));
    check('output', handle.stdout, 'typed\n');
    check('killed', await handle.kill());
  },
  async again() {
    // Another process of the same program finds its sandbox by metadata.
    const other = new E2BSandbox({ id, template: 'base', timeout: 120_000 });
    await other.start();
    check('file', (await other.executeCommand('cat', ['/home/user/a.txt'])).stdout, 'one');
  },
  async kill({ sandbox }) {
    await sandbox.destroy();
  },
};
await runSteps(steps, async ({ sandbox }) => await sandbox?.destroy());
