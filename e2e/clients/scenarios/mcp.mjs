// A client of the Model Context Protocol at the address that `getMcpUrl()` gives.
import { check, runSteps } from './steps.mjs';

const sdk = process.argv[2];
const { Client } = await import(`${sdk}/client/index.js`);
const { StreamableHTTPClientTransport } = await import(`${sdk}/client/streamableHttp.js`);
const { Sandbox } = await import('e2b');

const steps = {
  async create(state) {
    state.sandbox = await Sandbox.create({ mcp: { filesystem: { paths: ['/home/user'] } }, timeoutMs: 120_000 });
  },
  async connect(state) {
    const headers = { Authorization: `Bearer ${await state.sandbox.getMcpToken()}` };
    state.client = new Client({ name: 'test', version: '1' });
    const url = new URL(state.sandbox.getMcpUrl());
    await state.client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers } }));
  },
  async tools({ client, sandbox }) {
    check(
      'listed',
      (await client.listTools()).tools.some(({ name }) => name === 'write_file'),
    );
    const path = '/home/user/by-mcp.txt';
    await client.callTool({ name: 'write_file', arguments: { path, content: 'hello' } });
    check('text', await sandbox.files.read(path), 'hello');
  },
  async kill({ sandbox, client }) {
    await client.close();
    check('killed', await sandbox.kill());
  },
};
await runSteps(steps, async ({ sandbox }) => await sandbox?.kill());
