// Runs the steps of a scenario one after another and prints what became of each, as one line of JSON. Plain JavaScript: the client
// is of any version, so there are no types to check it against.
import { setTimeout as sleep } from 'node:timers/promises';

/** One step must not use up the time of the others. */
const stepMs = 30_000;

/** Thrown by a step whose function this version of the client has not. */
export class Absent extends Error {}

/** The first of `names` that `owner` has, bound to it. */
export function method(owner, ...names) {
  const name = names.find((each) => typeof owner?.[each] === 'function');
  if (name === undefined) throw new Absent(names.join(' or '));
  return owner[name].bind(owner);
}

/**
 * `steps` maps names to functions of the shared state. `works`, `absent`, `501`, or what failed. After a failed `create` nothing
 * else can be said, so it is the last.
 */
export async function runSteps(steps, cleanUp) {
  const outcomes = {};
  const state = {};
  for (const [name, step] of Object.entries(steps)) {
    outcomes[name] = await within(step(state)).then(() => 'works', outcomeOf);
    if (name === 'create' && outcomes[name] !== 'works') break;
  }
  await cleanUp?.(state).catch(() => undefined);
  console.log(JSON.stringify(outcomes));
  // Streams that a step left open would keep the process.
  process.exit(0);
}

function outcomeOf(error) {
  if (error instanceof Absent) return 'absent';
  const text = `${error?.name}: ${error?.message}`;
  return /\b501\b|not available in this version/.test(text) ? '501' : text.slice(0, 300);
}

async function within(promise) {
  const late = sleep(stepMs, undefined, { ref: false }).then(() => {
    throw new Error(`not done within ${stepMs / 1000} s`);
  });
  return await Promise.race([promise, late]);
}

export function check(what, seen, wanted = true) {
  if (JSON.stringify(seen) !== JSON.stringify(wanted))
    throw new Error(`${what}: ${JSON.stringify(seen)}, not ${JSON.stringify(wanted)}`);
}

/** Waits until `look` gives something true. */
export async function until(what, look) {
  for (let tries = 0; tries < 200; tries++) {
    if (await look()) return;
    await sleep(25);
  }
  throw new Error(`${what}: not within 5 s`);
}
