import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Recipe } from './recipe.ts';

/**
 * The programs that `@e2b/desktop` 2.4.0 uses. It starts Xvfb and Xfce itself in each new sandbox, so there is no start
 * command. Programs and paths are those that it calls by name.
 */
export const desktopRecipe: Recipe = {
  name: 'desktop',
  revision: 1,
  description: 'Xfce, a browser and VNC, for agents that use a screen',
  packages: [
    // Screen.
    ...['xvfb', 'xauth', 'x11-utils', 'x11-xserver-utils', 'dbus-x11'],
    ...['xfce4-session', 'xfwm4', 'xfdesktop4', 'xfce4-panel', 'xfce4-settings', 'xfconf', 'adwaita-icon-theme'],
    ...['fonts-dejavu-core', 'fonts-noto-cjk', 'fonts-noto-color-emoji'],
    // Input and screenshots.
    ...['xdotool', 'scrot', 'xclip', 'libgtk-3-bin', 'xdg-utils', 'desktop-file-utils', 'shared-mime-info'],
    // Stream.
    ...['x11vnc', 'novnc', 'websockify', 'net-tools'],
    // Applications.
    ...['thunar', 'xfce4-terminal', 'mousepad', 'ristretto', 'firefox-esr'],
  ],
  finish: async (rootfs) => {
    await symlink('/usr/share/novnc', join(rootfs, 'opt/noVNC'));
  },
  cpuCount: 2,
  memoryMb: 2048,
};
