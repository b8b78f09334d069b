// The provider of the Evolve SDK.
import { check, runSteps } from './steps.mjs';

const { createE2BProvider } = await import(process.argv[2]);
const metadata = { client: `evolve-${process.pid}-${Date.now()}` };

const steps = {
  async create(state) {
    state.provider = createE2BProvider();
    state.sandbox = await state.provider.create({ templateId: 'base', metadata, timeoutMs: 120_000 });
  },
  async commands({ sandbox }) {
    check('output', (await sandbox.commands.run('echo $((6 * 7))')).stdout.trim(), '42');
    const handle = await sandbox.commands.spawn('sleep 100');
    check(
      'listed',
      (await sandbox.commands.list()).some(({ pid }) => pid === handle.pid),
    );
    check('killed', await handle.kill());
  },
  async files({ sandbox }) {
    await sandbox.files.writeBatch([
      { path: 'a.txt', data: 'one' },
      { path: 'b.txt', data: Buffer.from('two') },
    ]);
    check('text', await sandbox.files.read('b.txt'), 'two');
    check(
      'list',
      (await sandbox.files.list('/home/user')).some(({ name }) => name === 'a.txt'),
    );
    const url = await sandbox.files.downloadUrl('a.txt', 60);
    check('by URL', await (await fetch(url)).text(), 'one');
  },
  async list({ provider, sandbox }) {
    check(
      'listed',
      (await provider.list({ metadata })).map(({ sandboxId }) => sandboxId),
      [sandbox.sandboxId],
    );
  },
  async pause({ provider, sandbox }) {
    await sandbox.pause();
    const again = await provider.connect(sandbox.sandboxId, 120_000);
    check('file', await again.files.read('a.txt'), 'one');
  },
  async kill({ sandbox }) {
    await sandbox.kill();
    check('running', await sandbox.isRunning(), false);
  },
};
await runSteps(steps, async ({ sandbox }) => await sandbox?.kill());
