// What `countersign dev` shows first: its start page, and the code flow that begins and ends there, in Chromium.
//
// Run by tests/interop/main.rs: newcomer.mjs CHROMIUM ISSUER

import { expect } from './browser.mjs'
import { looksRight, play } from './chromium.mjs'

const [, , executable, issuer] = process.argv

async function the_code_flow_from_the_start_page(page) {
  await page.goto(issuer)
  await looksRight(page, 'start page')
  await page.getByRole('link', { name: 'Try the code flow' }).click()
  await page.fill('#username', 'alice')
  await page.fill('#password', 'correct-horse-battery')
  await page.click('#login')
  await page.click('#approve')
  await page.getByRole('heading', { name: 'The code flow worked' }).waitFor()
  expect(/"sub": "alice"/.test(await page.innerText('main')), 'the claims are shown')
  await looksRight(page, 'end of the code flow')
  await page.getByRole('link', { name: 'Run it again' }).click()
  await page.getByRole('heading', { name: 'The code flow worked' }).waitFor()
}

await play(executable, [the_code_flow_from_the_start_page])
