// Two applications in one browser session, in Chromium: the frame that tells a page whether the session is still the same, and the
// pages that are loaded when it ends.
//
// Run by tests/interop/main.rs: sessions.mjs CHROMIUM ISSUER [FOLDER FOR PICTURES]

import { createServer } from 'node:http'

import { register } from './administrator.mjs'
import { expect } from './browser.mjs'
import { looksRight, play } from './chromium.mjs'

const [, , executable, issuer, pictures] = process.argv

/** What was loaded of an application when a session ended; `hold` keeps it loading. */
const heard = new Map()
let hold = false

async function application(name) {
  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://localhost')
    const html = (text) => response.setHeader('content-type', 'text/html').end(text)
    if (url.pathname === '/cb') html(`<!doctype html><title>App</title><h1>${name}</h1><iframe id="op" src="${issuer}/oauth2/check_session"></iframe>`)
    else if (url.pathname === '/bye') html(`<!doctype html><title>App</title><h1>Come back to ${name}</h1>`)
    else if (url.pathname === '/out') {
      heard.set(name, url.searchParams)
      if (!hold) html('<!doctype html><title>Out</title>')
    } else response.writeHead(204).end()
  })
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening))
  const home = `http://localhost:${server.address().port}`
  await register(issuer, name, {
    name,
    secret: `${name}-secret`,
    grant_types: ['code'],
    first_party: true,
    auth: { authorization_code: { redirect_uri: `${home}/cb` } },
    post_logout_redirect_uris: [`${home}/bye`],
    frontchannel_logout_uri: `${home}/out`,
  })
  return { name, home, server }
}

const [first, second] = [await application('first'), await application('second')]

/** Signs in to an application; answers what came back. */
async function enter(page, { name, home }) {
  const request = { response_type: 'code', client_id: name, redirect_uri: `${home}/cb`, scope: 'openid', state: 's' }
  await page.goto(`${issuer}/oauth2/authorize?${new URLSearchParams(request)}`)
  if (await page.locator('#password').count()) {
    await page.fill('#username', 'alice')
    await page.fill('#password', 'correct-horse-battery')
    await page.click('#login')
  }
  await page.waitForURL(`${home}/cb?*`)
  return new URL(page.url()).searchParams
}

/** Redeems a code; answers the ID token. */
async function idToken({ name, home }, returned) {
  const body = new URLSearchParams({ grant_type: 'authorization_code', code: returned.get('code'), redirect_uri: `${home}/cb` })
  const headers = { authorization: `Basic ${btoa(`${name}:${name}-secret`)}` }
  return (await (await fetch(`${issuer}/oauth2/token`, { method: 'POST', body, headers })).json()).id_token
}

/** What the frame answers to a message of the page (Session Management §3.1). */
const ask = (page, message) =>
  page.evaluate(
    ([message, origin]) =>
      new Promise((answer) => {
        addEventListener('message', (event) => event.origin === origin && answer(event.data), { once: true })
        document.getElementById('op').contentWindow.postMessage(message, origin)
      }),
    [message, new URL(issuer).origin],
  )

async function theFrameKnowsWhetherTheSessionIsTheSame(page) {
  const state = (await enter(page, first)).get('session_state')
  expect((await ask(page, `first ${state}`)) === 'unchanged', 'the session is the same')
  expect((await ask(page, `second ${state}`)) === 'changed', 'the state is of one client')
  for (const message of ['', 'first', `first${state}`, 'first x', 'first x.y.z.', `first ${state} `]) {
    const answer = await ask(page, message)
    expect(answer === 'error' || (message.includes('.') && answer === 'changed'), `an error for "${message}": ${answer}`)
  }
  const other = await page.context().newPage()
  await enter(other, second)
  expect((await ask(page, `first ${state}`)) === 'unchanged', 'another client changes nothing')
  await other.goto(`${issuer}/oauth2/logout`)
  await other.click('#logout')
  await other.getByRole('heading', { name: 'Signed out' }).waitFor()
  expect((await ask(page, `first ${state}`)) === 'changed', 'a logout is noticed')
}

async function signingOutOfOneSignsOutOfAllAndGoesOn(page) {
  const hint = await idToken(first, await enter(page, first))
  await enter(page, second)
  heard.clear()
  const request = { id_token_hint: hint, post_logout_redirect_uri: `${first.home}/bye`, state: 'a"b' }
  await page.goto(`${issuer}/oauth2/logout?${new URLSearchParams(request)}`)
  await page.getByRole('heading', { name: 'Come back to first' }).waitFor()
  expect(new URL(page.url()).searchParams.get('state') === 'a"b', `the state comes back: ${page.url()}`)
  const { sid } = JSON.parse(Buffer.from(hint.split('.')[1], 'base64url'))
  for (const { name } of [first, second]) {
    expect(heard.get(name)?.get('sid') === sid && heard.get(name).get('iss') === issuer, `${name} has heard of it`)
  }
}

async function whileAnApplicationIsSlowThePageSaysWhatHappens(page) {
  const hint = await idToken(first, await enter(page, first))
  await enter(page, second)
  hold = true
  const request = { id_token_hint: hint, post_logout_redirect_uri: `${first.home}/bye` }
  await page.goto(`${issuer}/oauth2/logout?${new URLSearchParams(request)}`, { waitUntil: 'commit' })
  await page.locator('#continue').waitFor()
  await looksRight(page, 'page after a logout')
  if (pictures) {
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [390, 1280]) {
        await page.emulateMedia({ colorScheme })
        await page.setViewportSize({ width, height: 700 })
        await page.screenshot({ path: `${pictures}/signed-out-${colorScheme}-${width}.png` })
      }
    }
  }
  hold = false
  await page.click('#continue')
  await page.getByRole('heading', { name: 'Come back to first' }).waitFor()
}

await play(executable, [
  theFrameKnowsWhetherTheSessionIsTheSame,
  signingOutOfOneSignsOutOfAllAndGoesOn,
  (page, complaints) => whileAnApplicationIsSlowThePageSaysWhatHappens(page).then(() => complaints.splice(0)),
])
for (const { server } of [first, second]) {
  server.closeAllConnections()
  server.close()
}
