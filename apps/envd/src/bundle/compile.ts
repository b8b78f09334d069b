// Run by Bun, not by Node: `bun compile.ts OUTFILE`. Bundles envd and compiles it into one program.
import { fileURLToPath } from 'node:url';

const entry = fileURLToPath(new URL('../main.ts', import.meta.url));
const fastBase64 = fileURLToPath(new URL('fast-base64.ts', import.meta.url));
const outfile = process.argv[2];
if (outfile === undefined) throw new Error('usage: bun compile.ts OUTFILE');

const result = await Bun.build({
  entrypoints: [entry],
  target: 'bun',
  minify: true,
  bytecode: true,
  compile: {
    outfile,
    // Or a file that a template planted in `/` would configure envd, or run code in it.
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
if (!result.success) throw new AggregateError(result.logs, 'envd does not compile');
