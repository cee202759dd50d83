import type { Outcome } from './history.ts'

const NAMES = ['text', 'muted', 'grid', 'card', 'accent'] as const

/** The colours of page.css, for what is drawn on a canvas. */
export type Palette = Record<Outcome | (typeof NAMES)[number], string>

export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement)
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim()
  return {
    ...{ memory: colour('memory'), redis: colour('redis'), collapsed: colour('collapsed') },
    ...{ misses: colour('misses'), bypassed: colour('bypassed') },
    ...{ text: colour('text'), muted: colour('muted'), grid: colour('grid') },
    ...{ card: colour('card'), accent: colour('accent') },
  }
}

export function onSchemeChange(listener: () => void): void {
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', listener)
}
