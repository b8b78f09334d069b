import { chmod, cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleProgram } from '@soulbox/templates';
import type { Recipe } from '@soulbox/templates';

const folder = '/opt/code-interpreter';
const source = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

/**
 * The template in which `@e2b/code-interpreter` runs code. The snapshot contains its two default contexts, already
 * started. It has those Python libraries of E2B's template that Debian packages.
 */
export const codeInterpreterRecipe: Recipe = {
  name: 'code-interpreter-v1',
  revision: 5,
  description: 'Python, JavaScript, TypeScript, R, Java and Bash, for agents that run code',
  packages: [
    ...['python3-ipykernel', 'python3-numpy', 'python3-pandas', 'python3-matplotlib', 'python3-scipy'],
    ...['python3-sklearn', 'python3-skimage', 'python3-opencv', 'python3-pil', 'python3-plotly', 'python3-seaborn'],
    ...['python3-sympy', 'python3-xarray', 'python3-nltk', 'python3-openpyxl', 'python3-docx', 'python3-lxml'],
    ...['python3-bs4', 'python3-requests', 'python3-orjson'],
    ...['r-base-core', 'r-cran-irkernel', 'openjdk-21-jdk-headless', 'fonts-noto-cjk'],
  ],
  finish: async (rootfs) => {
    const target = join(rootfs, folder);
    await mkdir(target, { recursive: true });
    await bundleProgram(source('src/main.ts'), join(target, 'server.cjs'));
    await bundleProgram(source('src/kernels/javascript/child/main.ts'), join(target, 'javascript-kernel.cjs'));
    await cp(source('assets'), target, { recursive: true });
    await chmod(join(target, 'start.sh'), 0o755);
  },
  startCommand: `sudo ${folder}/start.sh`,
  readyCommand: 'curl -sf http://localhost:49999/health',
  cpuCount: 2,
  memoryMb: 2048,
};
