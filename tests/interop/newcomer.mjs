// What `countersign dev` shows first: its start page, the code flow that begins and ends there, and the sandbox, in Chromium.
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
  expect(/sub\s+alice/.test(await page.innerText('main')), 'the claims are shown')
  await looksRight(page, 'end of the code flow')
  await page.getByRole('link', { name: 'Run it again' }).click()
  await page.getByRole('heading', { name: 'The code flow worked' }).waitFor()
}

/** Presses a button that leads to a page, and the one that sends what is on it; the answer must be good. */
async function next(page, name) {
  await page.getByRole('button', { name, exact: true }).first().click()
  await page.locator('#request').waitFor()
  await looksRight(page, `page before "${name}"`)
  await page.click('#send')
  expect((await page.innerText('#status')) === '200 OK', `"${name}" is answered well`)
  await looksRight(page, `page after "${name}"`)
}

async function every_step_in_the_sandbox(page, complaints) {
  await page.goto(`${issuer}/sandbox`)
  await looksRight(page, 'start of the sandbox')
  await page.getByRole('link', { name: 'Public client with PKCE' }).click()
  await page.click('#preview')
  await page.click('#send')
  await page.fill('#username', 'alice')
  await page.fill('#password', 'correct-horse-battery')
  await page.click('#login')
  if (await page.locator('#approve').count()) await page.click('#approve')
  await page.getByRole('heading', { name: 'The code flow worked' }).waitFor()
  expect((await page.locator('.broken').count()) === 0, 'everything verifies')
  await next(page, 'Refresh')
  await next(page, 'Ask userinfo')
  expect((await page.innerText('#body')).includes('"sub": "alice"'), 'userinfo tells who')
  await page.goto(`${issuer}/dev/start`)
  await next(page, 'Introspect')
  expect((await page.innerText('#body')).includes('"active": true'), 'the token holds')
  await page.goto(`${issuer}/sandbox/client_credentials`)
  await page.fill('#client_secret', 'wrong')
  await page.click('#send')
  expect((await page.innerText('#error')) === 'invalid_client', 'a wrong secret is refused')
  expect((await page.inputValue('#client_secret')) === '', 'and not shown again')
  await looksRight(page, 'page of a refusal')
  await page.goto(`${issuer}/dev/start`)
  await page.getByRole('button', { name: 'Sign out with it' }).click()
  await looksRight(page, 'page before signing out')
  await page.click('#submit')
  await page.getByRole('heading', { name: 'Signed out' }).waitFor()
  expect(page.url().startsWith(`${issuer}/sandbox/signed_out`), 'the browser comes back to the sandbox')
  await looksRight(page, 'sandbox after signing out')
  expect(complaints.length === 0, 'the browser complains of nothing')
}

await play(executable, [the_code_flow_from_the_start_page, every_step_in_the_sandbox])
