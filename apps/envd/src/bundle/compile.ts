// Run by Bun, not by Node: `bun compile.ts FOLDER`. Creates FOLDER/envd, a single program, and FOLDER/node.cjs from
// reseed/node.ts. Prints the paths of their sources as JSON.
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const pathOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const fastBase64 = pathOf('fast-base64.ts');
const folder = process.argv[2];
if (folder === undefined) throw new Error('usage: bun compile.ts FOLDER');

const envd = await Bun.build({
  entrypoints: [pathOf('../main.ts')],
  target: 'bun',
  minify: true,
  bytecode: true,
  metafile: true,
  compile: {
    outfile: join(folder, 'envd'),
    // Otherwise a file that a template planted in `/` could configure envd or run code in it.
    autoloadDotenv: false,
    autoloadBunfig: false,
    autoloadTsconfig: false,
    autoloadPackageJson: false,
  },
  plugins: [
    {
      name: 'fast-base64',
      setup(build) {
        build.onResolve({ filter: /\/base64-encoding\.js$/ }, ({ importer }) =>
          importer.includes('/@bufbuild/protobuf/') ? { path: fastBase64 } : undefined,
        );
      },
    },
  ],
});
if (!envd.success) throw new AggregateError(envd.logs, 'envd does not compile');

const preload = await Bun.build({
  entrypoints: [pathOf('../reseed/node.ts')],
  target: 'node',
  format: 'cjs',
  metafile: true,
});
const [output] = preload.outputs;
if (!preload.success || output === undefined) throw new AggregateError(preload.logs, 'reseed/node.ts does not compile');
await Bun.write(join(folder, 'node.cjs'), output);

const sources = [envd, preload].flatMap(({ metafile }) => Object.keys(metafile?.inputs ?? {}));
await Bun.write(Bun.stdout, JSON.stringify(sources.map((path) => resolve(path))));
