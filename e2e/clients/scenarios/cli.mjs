// What a user of `@e2b/cli` does, with the program whose path is the first argument.
import { spawn } from 'node:child_process';
import { Absent, check, runSteps } from './steps.mjs';

const program = process.argv[2];

async function cli(...args) {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'], timeout: 25_000 });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (/unknown (command|option)|too many arguments/.test(output)) throw new Absent(args.join(' '));
  // A group without the command prints its usage.
  if (/Usage: e2b sandbox \[options\] \[command\]/.test(output)) throw new Absent(args.join(' '));
  return { code, output };
}

async function succeed(...args) {
  const { code, output } = await cli(...args);
  if (code !== 0) throw new Error(`exit ${code}: ${output.trim().slice(-200)}`);
  return output;
}

const idIn = (text) => /\bi[a-z0-9]{20}\b/.exec(text)?.[0];

const steps = {
  // Older versions have no way but a terminal to it, so the sandbox is made by REST for all.
  async create(state) {
    const response = await fetch(`${process.env.SOULBOX_TEST_API_URL}/sandboxes`, {
      method: 'POST',
      headers: { 'x-api-key': process.env.E2B_API_KEY, 'content-type': 'application/json' },
      body: JSON.stringify({ templateID: 'base', timeout: 120 }),
    });
    state.sandboxId = (await response.json()).sandboxID;
    check('id', idIn(state.sandboxId) !== undefined);
  },
  async list({ sandboxId }) {
    check('listed', (await succeed('sandbox', 'list')).includes(sandboxId));
  },
  async info({ sandboxId }) {
    check('info', (await succeed('sandbox', 'info', sandboxId)).includes(sandboxId));
  },
  async exec({ sandboxId }) {
    check('output', (await succeed('sandbox', 'exec', sandboxId, 'echo $((6*7))')).trim(), '42');
  },
  async logs({ sandboxId }) {
    check('logs', (await succeed('sandbox', 'logs', sandboxId)).includes('sandbox created'));
  },
  async metrics({ sandboxId }) {
    await succeed('sandbox', 'metrics', sandboxId);
  },
  async spawn(state) {
    const output = await succeed('sandbox', 'create', '-d', 'base');
    state.second = idIn(output);
    check('id', state.second !== undefined);
  },
  async pause({ sandboxId }) {
    await succeed('sandbox', 'pause', sandboxId);
    await succeed('sandbox', 'resume', sandboxId);
  },
  async templates() {
    await succeed('template', 'list');
  },
  async kill({ sandboxId }) {
    await succeed('sandbox', 'kill', sandboxId);
    const again = (await cli('sandbox', 'kill', sandboxId)).output;
    check('again', /wasn't found|not found/i.test(again));
  },
};
await runSteps(steps, async ({ second }) => {
  if (second !== undefined) await cli('sandbox', 'kill', second);
});
