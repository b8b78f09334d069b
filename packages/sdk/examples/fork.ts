import { Sandbox } from 'soulbox';

// Each copy continues with the memory and the disk of the source: here, from a paused one.
await using source = await Sandbox.create();
await source.files.write('state.txt', 'prepared once');
await source.pause();
const copies = await source.fork({ count: 2, timeoutMs: 60_000 });
for (const copy of copies) {
  if (copy instanceof Error) throw copy;
  console.log(await copy.files.read('state.txt'));
  await copy.kill();
}
