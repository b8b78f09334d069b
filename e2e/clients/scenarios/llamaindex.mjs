// The code interpreter as a tool of LlamaIndex agents.
import { mkdir, mkdtemp } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { check, runSteps } from './steps.mjs';

const { interpreter } = await import(process.argv[2]);
// It takes relative folders only. The home is of this run alone.
process.chdir(await mkdtemp(join(homedir(), 'llamaindex-')));

const steps = {
  async create(state) {
    await mkdir('uploaded');
    const folders = { outputDir: 'output', uploadedFilesDir: 'uploaded' };
    const apiKey = process.env.E2B_API_KEY;
    state.tool = interpreter({ apiKey, ...folders, fileServerURLPrefix: 'http://localhost/files' });
  },
  async run({ tool }) {
    const { isError, logs } = await tool.call({ code: 'print(6 * 7)' });
    check('outcome', [isError, logs.stdout.join('').trim()], [false, '42']);
  },
  async picture({ tool }) {
    const code = 'import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()';
    const { extraResult } = await tool.call({ code });
    const kinds = extraResult.map(({ type }) => type);
    check(`png among ${kinds.join()}`, kinds.includes('png'));
  },
};
await runSteps(steps);
