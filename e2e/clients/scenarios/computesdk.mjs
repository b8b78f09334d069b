// The provider of ComputeSDK.
import { check, runSteps } from './steps.mjs';

const { e2b } = await import(process.argv[2]);

const steps = {
  async create(state) {
    state.compute = e2b({ apiKey: process.env.E2B_API_KEY, timeout: 120_000 });
    state.sandbox = await state.compute.sandbox.create();
  },
  async commands({ sandbox }) {
    const { stdout, exitCode } = await sandbox.runCommand('echo $((6 * 7)); exit 3');
    check('outcome', [stdout.trim(), exitCode], ['42', 3]);
  },
  async files({ sandbox }) {
    await sandbox.filesystem.mkdir('/home/user/folder');
    await sandbox.filesystem.writeFile('/home/user/folder/a.txt', 'one');
    check('text', await sandbox.filesystem.readFile('/home/user/folder/a.txt'), 'one');
    check(
      'list',
      (await sandbox.filesystem.readdir('/home/user/folder')).map(({ name }) => name),
      ['a.txt'],
    );
    check('exists', await sandbox.filesystem.exists('/home/user/nothing'), false);
  },
  async info({ compute, sandbox }) {
    check('id', (await compute.sandbox.getById(sandbox.sandboxId)).sandboxId, sandbox.sandboxId);
    check('status', (await sandbox.getInfo()).status, 'running');
  },
  async kill({ sandbox }) {
    await sandbox.destroy();
  },
};
await runSteps(steps, async ({ sandbox }) => await sandbox?.destroy());
