// What a user of `@e2b/desktop` does, with the version whose module is the first argument.
import { check, runSteps, until } from './steps.mjs';

const { Sandbox } = await import(process.argv[2]);

const steps = {
  async create(state) {
    state.desktop = await Sandbox.create({ timeoutMs: 120_000, resolution: [800, 600] });
  },
  async mouse({ desktop }) {
    // Older versions wait neither for the display nor for the desktop, which puts the pointer in the middle when it has started.
    const isThere = async () => {
      await desktop.moveMouse(120, 80);
      const { x, y } = await desktop.getCursorPosition();
      return x === 120 && y === 80;
    };
    await until('the pointer at 120, 80', async () => await isThere().catch(() => false));
    await desktop.leftClick();
  },
  async keyboard({ desktop }) {
    await desktop.write('text');
    await desktop.press('enter');
  },
  async screenshot({ desktop }) {
    const picture = Buffer.from(await desktop.screenshot());
    check('PNG', picture.subarray(1, 4).toString(), 'PNG');
    check('size', [picture.readUInt32BE(16), picture.readUInt32BE(20)], [800, 600]);
  },
  async stream({ desktop }) {
    await desktop.stream.start();
    const { status } = await fetch(desktop.stream.getUrl());
    await desktop.stream.stop();
    check('page', status, 200);
  },
  async kill({ desktop }) {
    check('killed', (await desktop.kill()) !== false);
  },
};
await runSteps(steps, async ({ desktop }) => await desktop?.kill());
