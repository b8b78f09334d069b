import { Breach, refuseBreaches } from '../../attempt.ts';
import type { Scene } from '../../attempt.ts';
import { lab, nameOf } from '../../internet.ts';
import type { World } from '../../world.ts';
import { ask } from '../raw.ts';
import { runPython } from './programs.ts';

const fetchIt = (host: string): string => `
try: print(https('${lab.ruled}', '${host}', request('${host}', '/', 'X-Redteam-Token: mine\\r\\n'))[:4000])
except OSError as error: print(error)`;

const policyWith = (placeholder: string): object => ({
  rules: { [nameOf('ruled')]: [{ transform: { headers: { authorization: `Bearer ${placeholder}` } } }] },
});

/** A secret of the other team, by its name: the control is that its own team uses it. */
async function useForeignSecret(world: World): Promise<string> {
  const { target, neighbor, outside } = world;
  const value = `theirs-${neighbor.word}`;
  const call = async (method: string, path: string, apiKey: string, body?: object) =>
    await ask(target.port, path, {
      method,
      headers: { 'x-api-key': apiKey, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const made = await call('POST', '/secrets', neighbor.apiKey, { name: 'theirs', value });
  if (made.status >= 300) throw new Error(`the secret could not be made: ${made.body}`);
  try {
    const breaches: string[] = [];
    for (const [method, path, body] of [
      ['GET', '/secrets', undefined],
      ['GET', '/secrets/theirs', undefined],
      ['GET', '/secrets/THEIRS', undefined],
      ['POST', '/secrets/theirs', { value: 'taken' }],
      ['DELETE', '/secrets/theirs', undefined],
    ] as const) {
      const answer = await call(method, path, target.apiKey, body);
      if (answer.body.includes('theirs') && answer.status < 300) breaches.push(`${method} ${path}: ${answer.body}`);
      if (path !== '/secrets' && answer.status < 400) breaches.push(`${method} ${path} returns ${answer.status}`);
    }
    refuseBreaches(breaches);
    const use = async (apiKey: string, name: string): Promise<string> => {
      await outside.forget();
      await world.withPolicy(
        { ...policyWith(`\${e2b.secrets.${name}}`) },
        async (sandbox) => await runPython(sandbox, fetchIt(nameOf('ruled'))),
        { apiKey },
      );
      return (await outside.heard()).join('\n');
    };
    if ((await use(target.apiKey, 'theirs')).includes(value)) throw new Breach('it was sent for another team');
    if (!(await use(neighbor.apiKey, 'theirs')).includes(value)) throw new Error('its own team cannot use it either');
    return 'not listed, read, changed, deleted or sent for another team; its own team uses it';
  } finally {
    await call('DELETE', '/secrets/theirs', neighbor.apiKey);
  }
}

/** Rules that name tokens and secrets that the sandbox does not have. */
async function declareOthers(world: World): Promise<string> {
  const { target } = world;
  const names = [
    'identity.tokens.none',
    'identity.tokens.../own',
    'identity.tokens.__proto__',
    'identity.tokens.constructor',
    'secrets.../redteam',
    'secrets.redteam%00',
    'secrets.__proto__',
    'identity.tokens.own}${e2b.secrets.redteam',
  ];
  const refused: string[] = [];
  for (const name of names) {
    const body = JSON.stringify({ templateID: 'base', network: policyWith(`\${e2b.${name}}`) });
    const headers = { 'x-api-key': target.apiKey, 'content-type': 'application/json' };
    const answer = await ask(target.port, '/v2/sandboxes', { method: 'POST', headers, body });
    if (answer.status === 400) refused.push(name);
    else if (answer.status === 201) {
      const { sandboxID } = JSON.parse(answer.body) as { sandboxID: string };
      await ask(target.port, `/sandboxes/${sandboxID}`, { method: 'DELETE', headers });
      if (!name.startsWith('secrets.')) throw new Breach(`a rule with ${name} is accepted`);
    } else throw new Breach(`a rule with ${name} returns ${answer.status}: ${answer.body.slice(0, 100)}`);
  }
  if (refused.length < 5) throw new Error(`only ${refused.length} were refused`);
  return `${refused.length} of ${names.length} refused at the create; the others name secrets that do not exist`;
}

const scene = { kind: 'scene', wall: 'teams', by: ['outside'] } as const;

export const identities: readonly Scene[] = [
  { ...scene, pace: 'quick', name: 'uses the secret of another team in a rule', run: useForeignSecret },
  {
    ...scene,
    wall: 'injected',
    pace: 'quick',
    name: 'names tokens and secrets that it does not have',
    run: declareOthers,
  },
];
