// The sandbox of OpenAI's agents, as an agent's tools use it; no model is asked.
import { check, runSteps } from './steps.mjs';

const { E2BSandboxClient } = await import(`${process.argv[2]}/sandbox/e2b`);

const steps = {
  async create(state) {
    state.client = new E2BSandboxClient({ template: 'base', timeout: 120 });
    const files = { 'task.txt': { type: 'file', content: 'from the manifest\n' } };
    state.session = await state.client.create({ manifest: { entries: files } });
  },
  async commands({ session }) {
    const output = await session.execCommand({ cmd: 'cat task.txt; echo $((6 * 7))' });
    check('output', /from the manifest/.test(output) && /\b42\b/.test(output));
  },
  async terminal({ session }) {
    const output = await session.execCommand({ cmd: 'stty size', tty: true, yieldTimeMs: 3000 });
    check('size', /\d+ \d+/.test(output));
  },
  async files({ session }) {
    await session.createEditor().createFile({ type: 'create_file', path: 'new.txt', diff: '+written by the editor' });
    const text = Buffer.from(await session.readFile({ path: 'new.txt' })).toString();
    check('text', text.trim(), 'written by the editor');
  },
  async resume({ client, session }) {
    const state = await client.deserializeSessionState(await client.serializeSessionState(session.state));
    const again = await client.resume(state);
    check('file', await again.pathExists('new.txt'));
  },
  async kill({ session }) {
    await session.delete();
  },
};
await runSteps(steps, async ({ session }) => await session?.delete());
