import type { Page } from 'playwright-core'

/**
 * Texts that are fainter than WCAG 2.2 AA allows, by what the browser has computed: colour of the text
 * against what lies behind it, 4.5 to 1, or 3 to 1 where it is large.
 */
export async function textTooFaint(page: Page): Promise<string[]> {
  return (await page.evaluate(IN_PAGE)) as string[]
}

// A string, since the tests are compiled without the types of the DOM.
const IN_PAGE = `(() => {
  const pen = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })
  // Whatever the notation of a computed colour, the canvas knows it.
  const rgba = (colour) => {
    pen.clearRect(0, 0, 1, 1)
    pen.fillStyle = colour
    pen.fillRect(0, 0, 1, 1)
    const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data
    return [red, green, blue, alpha / 255]
  }
  const over = ([r, g, b, a], [r2, g2, b2]) =>
    [r * a + r2 * (1 - a), g * a + g2 * (1 - a), b * a + b2 * (1 - a), 1]
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((part) => {
      const share = part / 255
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const ratio = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b)
    return (high + 0.05) / (low + 0.05)
  }
  const lineage = (element) => {
    const line = []
    for (let each = element; each !== null; each = each.parentElement) line.unshift(each)
    return line
  }
  const dark = matchMedia('(prefers-color-scheme: dark)').matches
  const behind = (line) => line.reduce(
    (below, each) => over(rgba(getComputedStyle(each).backgroundColor), below),
    dark ? [18, 18, 18, 1] : [255, 255, 255, 1],
  )
  const faint = new Set()
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let text = texts.nextNode(); text !== null; text = texts.nextNode()) {
    const element = text.parentElement
    if (text.data.trim() === '' || !element.checkVisibility({ opacityProperty: true })) continue
    if (element.closest(':disabled, svg, option') !== null) continue
    const range = document.createRange()
    range.selectNodeContents(text)
    if (range.getBoundingClientRect().width < 2) continue // for screen readers only
    const style = getComputedStyle(element)
    const line = lineage(element)
    const background = behind(line)
    const opacity = line.reduce((all, each) => all * Number(getComputedStyle(each).opacity), 1)
    const [r, g, b, a] = rgba(style.color)
    const found = ratio(over([r, g, b, a * opacity], background), background)
    const size = parseFloat(style.fontSize)
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700)
    if (found >= (isLarge ? 3 : 4.5)) continue
    faint.add(text.data.trim().slice(0, 40) + ': ' + found.toFixed(2) + ' to 1, ' + style.color)
  }
  return [...faint]
})()`
