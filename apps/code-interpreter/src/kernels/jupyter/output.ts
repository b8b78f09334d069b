import { bundleFromMember } from '../json-text.ts';
import type { Output } from '../kernel.ts';
import type { JupyterMessage } from './message.ts';

/** The output that a message describes. Undefined for a message without output. */
export function outputFromMessage({ type, content, contentText }: JupyterMessage): Output | undefined {
  switch (type) {
    case 'execute_input':
      return { type: 'started', executionCount: Number(content['execution_count'] ?? 0) };
    case 'stream':
      return { type: content['name'] === 'stderr' ? 'stderr' : 'stdout', text: text(content['text']) };
    case 'display_data':
    case 'execute_result':
      return { type: 'result', isMain: type === 'execute_result', bundle: bundleFromMember(contentText, 'data') };
    case 'error':
      return errorFromContent(content);
    case 'execute_reply':
      if (content['status'] === 'error') return errorFromContent(content);
      if (content['status'] !== 'aborted') return undefined;
      return { type: 'error', name: 'ExecutionAborted', value: 'The kernel did not run the code.', traceback: '' };
    default:
      return undefined;
  }
}

function errorFromContent(content: JupyterMessage['content']): Output {
  const traceback = Array.isArray(content['traceback']) ? content['traceback'].map(text).join('\n') : '';
  return {
    type: 'error',
    name: text(content['ename']),
    value: text(content['evalue']),
    traceback: withoutColors(traceback),
  };
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

const colors = /\u001b\[[0-9;]*m/g;
const withoutColors = (value: string): string => value.replaceAll(colors, '');
