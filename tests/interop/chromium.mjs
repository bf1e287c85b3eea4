// Chromium, as an installed program, with a profile of its own that goes with it. Shared by the scripts that use it.

import { chromium } from 'playwright-core'

import { expect } from './browser.mjs'

const flags = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Runs the scenes one after the other, each with a browser context of its own. */
export async function play(executablePath, scenes) {
  const browser = await chromium.launch({ executablePath, args: flags, chromiumSandbox: false })
  try {
    for (const scene of scenes) {
      const context = await browser.newContext()
      context.setDefaultTimeout(20_000)
      const page = await context.newPage()
      const complaints = listen(page)
      await scene(page, complaints).catch((failure) => {
        const told = complaints.join('; ') || 'nothing'
        throw new Error(`in the scene "${scene.name}", at ${page.url()}; Chromium complains of ${told}`, { cause: failure })
      })
      expect(complaints.length === 0, `no complaint of the browser in the scene "${scene.name}": ${complaints.join('; ')}`)
      await context.close()
    }
  } finally {
    await browser.close()
  }
}

/** What the browser complains about on a page: violations of the content security policy are among it. */
function listen(page) {
  const complaints = []
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('requestfailed', (request) => {
    const why = request.failure().errorText
    // Whoever leaves a page before its icon is there cancels that; whatever is blocked has other words.
    const cancelled = why === 'net::ERR_ABORTED' && /\/static\/icon-\w+\.svg$/.test(request.url())
    if (!cancelled) complaints.push(`${request.url()}: ${why}`)
  })
  return complaints
}

/** A page must fit a phone and a desk, in the light and in the dark, with text that can be read. */
export async function looksRight(page, name) {
  const backgrounds = new Set()
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    for (const width of [320, 390, 1280]) {
      await page.setViewportSize({ width, height: 800 })
      const look = await page.evaluate(measure)
      expect(look.width <= width, `the ${name} has no horizontal scrolling at ${width}: it is ${look.width} wide`)
      expect(look.faint.length === 0, `the text of the ${name} can be read in the ${colorScheme}: ${look.faint.join('; ')}`)
      backgrounds.add(look.background)
    }
  }
  expect(backgrounds.size === 2, `the ${name} is light and dark: ${[...backgrounds]}`)
  await page.emulateMedia({ colorScheme: null, reducedMotion: null })
  await page.setViewportSize({ width: 1280, height: 720 })
}

/** Runs in the page: its width, its background, and texts with less contrast than WCAG 2.2 §1.4.3 asks for. */
function measure() {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1)
    canvas.fillStyle = color
    canvas.fillRect(0, 0, 1, 1)
    return [...canvas.getImageData(0, 0, 1, 1).data]
  }
  const luminance = (color) => {
    const linear = (part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4)
    const [red, green, blue] = color.map(linear)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor)
      if (color[3] === 255) return color
    }
    return rgba(matchMedia('(prefers-color-scheme: dark)').matches ? 'black' : 'white')
  }
  const faint = []
  for (const element of document.body.querySelectorAll('*')) {
    const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim())
    if (!own) continue
    const style = getComputedStyle(element)
    const [light, dark] = [luminance(rgba(style.color)), luminance(background(element))].sort((a, b) => b - a)
    const contrast = (light + 0.05) / (dark + 0.05)
    const size = parseFloat(style.fontSize)
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700)
    if (contrast < (large ? 3 : 4.5)) faint.push(`"${element.textContent.trim()}" has ${contrast.toFixed(2)}`)
  }
  return { width: document.documentElement.scrollWidth, background: String(background(document.body)), faint }
}

/** Presses Tab until the element with this id has the focus, which must be seen. */
export async function tabTo(page, id) {
  for (let presses = 0; presses < 12; presses++) {
    const at = await page.evaluate(() => {
      const { id, matches } = document.activeElement
      const { outlineStyle, boxShadow } = getComputedStyle(document.activeElement)
      const seen = outlineStyle !== 'none' || boxShadow !== 'none'
      return { id, seen, chosen: matches.call(document.activeElement, ':focus-visible') }
    })
    if (at.id === id) {
      expect(at.chosen && at.seen, `the focus on #${id} is seen`)
      return
    }
    await page.keyboard.press('Tab')
  }
  throw new Error(`NOT AS EXPECTED: the Tab key reaches #${id}`)
}
