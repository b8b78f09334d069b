import { expect, test } from 'vitest';
import { decodeMessage } from './message.ts';
import { outputFromMessage } from './output.ts';

function message(type: string, content: string) {
  const frames = ['<IDS|MSG>', '', `{"msg_type":"${type}"}`, '{"msg_id":"1"}', '{}', content];
  return decodeMessage(frames.map((frame) => Buffer.from(frame)));
}

test('values are passed on as the kernel wrote them, and strings are decoded', () => {
  const shown = message(
    'execute_result',
    '{"execution_count": 1, "data": {"text/plain": "1.0\\n", "e2b/data": {"a": [1.0, 12345678901234567890]}, "x/n": -0.0}}',
  );
  expect(shown && outputFromMessage(shown)).toEqual({
    type: 'result',
    isMain: true,
    bundle: [
      ['text/plain', '1.0\n'],
      ['e2b/data', { json: '{"a": [1.0, 12345678901234567890]}' }],
      ['x/n', { json: '-0.0' }],
    ],
  });
});

test.each(['{}', '{"data": null}', '{"data": [1]}', '[]'])('a display without data has no content: %s', (content) => {
  const shown = message('display_data', content);
  expect(shown && outputFromMessage(shown)).toEqual({ type: 'result', isMain: false, bundle: [] });
});

test('content that is not JSON is not a message', () => {
  expect(message('stream', '{"text": NaN}')).toBeUndefined();
});
