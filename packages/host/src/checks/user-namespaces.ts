import type { Check, Finding } from '../finding.ts';
import { sameFix } from '../finding.ts';
import { probe } from '../probe.ts';
import { readSetting } from '../system.ts';

/** Checks that user namespaces can be created. Ubuntu's AppArmor restriction affects unprivileged callers only. */
export const checkUserNamespaces: Check = async (): Promise<Finding> => {
  const base = {
    id: 'user-namespaces',
    title: 'User namespaces',
    protects: 'root inside a sandbox has no privileges outside',
  };
  const max = await readSetting('/proc/sys/user/max_user_namespaces');
  if (max === '0') {
    return {
      ...base,
      status: 'fail',
      detail: 'user.max_user_namespaces is 0',
      fix: sameFix('sysctl -w user.max_user_namespaces=65536'),
    };
  }
  const tried = await probe(['--user', '--map-root-user', '--pid', '--fork'], ['true']);
  if (!tried.ok) {
    return {
      ...base,
      status: 'fail',
      detail: tried.why,
      fix: sameFix('use a kernel with CONFIG_USER_NS=y, and no container that forbids user namespaces'),
    };
  }
  const apparmor = await readSetting('/proc/sys/kernel/apparmor_restrict_unprivileged_userns');
  const note = apparmor === '1' ? '; AppArmor restricts unprivileged ones, which does not affect SoulBox' : '';
  return { ...base, status: 'ok', detail: `at most ${max ?? 'unlimited'}${note}` };
};
