import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { checkpointText, openCheckpoint, parseCheckpoint } from './checkpoint.ts';
import { createSigner, createVerifier, openNote, parseVerifierKey, verifyLines } from './note.ts';
import { emptyRoot } from './tree.ts';
import { makeKey } from './testing/test-log.ts';

const pem = makeKey();
const signer = createSigner('example.com/log', pem);
const verifier = parseVerifierKey(signer.verifierKey);
const text = 'first line\n\nthird line\n';
const note = signer.sign(text);
const damaged = expect.objectContaining({ reason: 'state_damaged' }) as Error;

/** Signs as a witness does: the time and the text. */
function cosign(name: string, signedAt: bigint, over: string) {
  const key = makeKey();
  const raw = createPublicKey(createPrivateKey(key)).export({ type: 'spki', format: 'der' }).subarray(-32);
  const witness = createVerifier(name, 'cosignature', raw);
  const stamp = Buffer.alloc(8);
  stamp.writeBigUInt64BE(signedAt);
  const signature = sign(null, Buffer.from(`cosignature/v1\ntime ${signedAt}\n${over}`), createPrivateKey(key));
  return { witness, line: `\u2014 ${name} ${Buffer.concat([witness.keyId, stamp, signature]).toString('base64')}\n` };
}

describe('a signed note', () => {
  test('is opened with the key of its signer, and keeps empty lines', () => {
    expect(openNote(note, [verifier])).toMatchObject({
      text,
      signatures: [{ name: 'example.com/log', type: 'ed25519' }],
    });
  });

  test('is refused after a change of any character', () => {
    for (let index = 0; index < note.length; index += 1) {
      const changed = note.slice(0, index) + (note[index] === 'A' ? 'B' : 'A') + note.slice(index + 1);
      expect(() => openNote(changed, [verifier])).toThrow(damaged);
    }
  });

  test('is refused when it is cut anywhere', () => {
    for (let end = 0; end < note.length; end += 1)
      expect(() => openNote(note.slice(0, end), [verifier])).toThrow(damaged);
  });

  test('of unknown keys only is refused, also with the known name', () => {
    const other = createSigner('example.com/log', makeKey());
    expect(() => openNote(other.sign(text), [verifier])).toThrow(damaged);
    expect(() => openNote(note, [])).toThrow(damaged);
  });

  test('may have further signatures of unknown keys', () => {
    const more = createSigner('example.com/other', makeKey()).sign(text).split('\n\n').at(-1) ?? '';
    expect(openNote(note + more, [verifier]).signatures).toHaveLength(1);
  });

  test('with a wrong signature of a known key is refused as a whole', () => {
    const second = createSigner('example.com/second', makeKey());
    const wrong = second.sign('another text\n').split('\n\n').at(-1) ?? '';
    expect(() => openNote(note + wrong, [verifier, parseVerifierKey(second.verifierKey)])).toThrow(damaged);
  });

  test.each([
    ['a control character', note.replace('first', 'fi\trst')],
    ['no signature', text],
    ['too many signatures', note + (note.split('\n\n').at(-1) ?? '').repeat(40)],
    ['too many characters', signer.sign(`${'x'.repeat(70_000)}\n`)],
    ['nothing', ''],
  ])('with %s is refused', (_, wrong) => {
    expect(() => openNote(wrong, [verifier])).toThrow(damaged);
  });
});

describe('the signature of a witness', () => {
  const { witness, line } = cosign('witness.example/w1', 1_700_000_000n, text);

  test('covers the time, which is returned', () => {
    expect(openNote(note + line, [verifier, witness]).signatures[1]).toMatchObject({
      name: 'witness.example/w1',
      signedAt: 1_700_000_000,
    });
  });

  test('is refused with another time or for another text', () => {
    const bytes = Buffer.from(line.split(' ')[2] ?? '', 'base64');
    bytes[11] = (bytes[11] ?? 0) ^ 1;
    expect(() => verifyLines(text, `\u2014 ${witness.name} ${bytes.toString('base64')}\n`, [witness])).toThrow(damaged);
    expect(() => verifyLines('another text\n', line, [witness])).toThrow(damaged);
  });

  test('alone does not make a checkpoint of the log', () => {
    const body = checkpointText({ origin: 'example.com/log', size: 0, root: emptyRoot });
    const only = cosign('witness.example/w1', 1n, body);
    expect(() => openCheckpoint(`${body}\n${only.line}`, signer.verifierKey, [only.witness])).toThrow(damaged);
  });
});

describe('a verifier key', () => {
  test('keeps its id, name and key', () => {
    expect(signer.verifierKey).toMatch(/^example\.com\/log\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}$/);
    expect(verifier.name).toBe('example.com/log');
  });

  test.each([
    '',
    'a+b+c',
    signer.verifierKey.replace('example', 'exampel'),
    `${signer.verifierKey}A`,
    'x y+00000000+AQ==',
  ])('is not %j', (wrong) => {
    expect(() => parseVerifierKey(wrong)).toThrow(expect.objectContaining({ reason: 'config_invalid' }) as Error);
  });

  test('has a name without spaces and plus', () => {
    for (const name of ['', 'a b', 'a+b', 'a\nb']) expect(() => createSigner(name, pem)).toThrow(RangeError);
  });
});

describe('a checkpoint', () => {
  const body = checkpointText({ origin: 'example.com/log', size: 7, root: emptyRoot });

  test('is parsed back, with lines that others have added', () => {
    expect(parseCheckpoint(`${body}an extension\n`)).toEqual({ origin: 'example.com/log', size: 7, root: emptyRoot });
    expect(openCheckpoint(signer.sign(body), signer.verifierKey).size).toBe(7);
  });

  test.each([
    body.replace('7', '07'),
    body.replace('7', '-7'),
    body.replace('7', '99999999999999999'),
    body.replace('7', '7.0'),
    body.replace('=', ''),
    body.replace('47', '4 7'),
    '\n7\nabc\n',
    'example.com/log\n7\n',
    '',
  ])('is not %j', (wrong) => {
    expect(() => parseCheckpoint(wrong)).toThrow(damaged);
  });

  test('of another origin is refused, even if the key has signed it', () => {
    expect(() =>
      openCheckpoint(signer.sign(body.replace('example.com/log', 'example.com/two')), signer.verifierKey),
    ).toThrow(damaged);
  });
});
