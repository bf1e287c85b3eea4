// A person at the real pages, in Chromium with JavaScript on, and a small application that she signs in to.
//
// Run by tests/interop/main.rs: person.mjs CHROMIUM ISSUER

import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'

import { register } from './administrator.mjs'
import { expect } from './browser.mjs'
import { looksRight, play, tabTo } from './chromium.mjs'

const [, , executable, issuer] = process.argv

// The application: its address starts the code flow, its callback gets the tokens and greets.
const states = new Set()
const application = createServer(async (request, response) => {
  const url = new URL(request.url, home)
  const html = (text) => response.setHeader('content-type', 'text/html').end(`<!doctype html><title>App</title><h1>${text}</h1>`)
  if (url.pathname === '/') response.writeHead(302, { location: authorize() }).end()
  else if (url.pathname === '/callback') html(await returned(request, url).then(callback).catch(String))
  else if (url.pathname === '/frame') html(`<iframe src="${authorize().replaceAll('&', '&amp;')}"></iframe>`)
  // Many applications take the code at one origin and go on at another.
  else if (url.pathname === '/onward') response.writeHead(303, { location: home.replace('localhost', '127.0.0.1') + '/arrived' }).end()
  else if (url.pathname === '/arrived') html('Arrived')
  else if (url.pathname === '/bye') html('Come back soon')
  else response.writeHead(204).end()
})
await new Promise((listening) => application.listen(0, '127.0.0.1', listening))
const home = `http://localhost:${application.address().port}`

function authorize(more = {}) {
  const state = randomUUID()
  states.add(state)
  const request = { response_type: 'code', client_id: 'app', redirect_uri: `${home}/callback`, scope: 'openid profile', state }
  return `${issuer}/oauth2/authorize?${new URLSearchParams({ ...request, ...more })}`
}

/** What came back, in the query or in a form. */
async function returned(request, { searchParams }) {
  if (request.method === 'GET') return searchParams
  let body = ''
  for await (const piece of request) body += piece
  return new URLSearchParams(body)
}

async function callback(returned) {
  if (!states.delete(returned.get('state'))) return 'A stranger'
  if (returned.has('error')) return `Error: ${returned.get('error')}`
  const body = new URLSearchParams({ grant_type: 'authorization_code', code: returned.get('code'), redirect_uri: `${home}/callback` })
  const headers = { authorization: `Basic ${btoa('app:app-secret')}` }
  const tokens = await (await fetch(`${issuer}/oauth2/token`, { method: 'POST', body, headers })).json()
  const bearer = { authorization: `Bearer ${tokens.access_token}` }
  return `Hello ${(await (await fetch(`${issuer}/oauth2/userinfo`, { headers: bearer })).json()).given_name}`
}

await register(issuer, 'app', {
  name: 'An application with a very long name that nobody shortened: Donaudampfschifffahrtsgesellschaftskapitän',
  secret: 'app-secret',
  grant_types: ['code'],
  auth: { authorization_code: { redirect_uri: `${home}/callback`, redirect_uris: [`${home}/onward`] } },
  allowed_origins: [home.replace('localhost', '127.0.0.1')],
  post_logout_redirect_uris: [`${home}/bye`],
  policy_uri: 'https://app.example/privacy',
  tos_uri: 'https://app.example/terms',
})

const heading = (page, text) => page.getByRole('heading', { name: text }).waitFor()

async function signIn(page) {
  await page.fill('#username', 'alice')
  await page.fill('#password', 'correct-horse-battery')
  await page.click('#login')
}

async function alice_signs_in_at_the_second_try_and_consents(page, complaints) {
  await page.goto(home)
  await heading(page, 'Sign in')
  await page.fill('#username', 'alice')
  await page.fill('#password', 'wrong')
  await page.click('#login')
  await page.getByRole('alert').getByText('Wrong user name or password').waitFor()
  expect(/^[^\n]*status of 403[^\n]*$/.test(complaints.splice(0).join('\n')), 'the browser tells the status, and complains of nothing else')
  expect((await page.inputValue('#username')) === 'alice', 'the user name stays')
  expect((await page.inputValue('#password')) === '', 'the password does not')
  expect((await page.evaluate(() => document.activeElement.id)) === 'password', 'the password has the focus')
  await page.fill('#password', 'correct-horse-battery')
  await page.click('#login')
  await page.getByText('See your name, picture and other profile details').waitFor()
  await page.click('#approve')
  await heading(page, 'Hello Alice')

  // Signed in and consented: nothing is asked again. The next time the way from the password leads straight to the application.
  await page.goto(home)
  await heading(page, 'Hello Alice')
  await page.goto(authorize({ prompt: 'login' }))
  await signIn(page)
  await heading(page, 'Hello Alice')
}

async function alice_denies(page) {
  await page.goto(authorize({ prompt: 'consent' }))
  await signIn(page)
  await page.click('#deny')
  await heading(page, 'Error: access_denied')
}

async function alice_returns_by_a_form_that_posts_itself(page) {
  await page.goto(authorize({ response_mode: 'form_post', prompt: 'consent' }))
  await signIn(page)
  await page.click('#approve')
  await heading(page, 'Hello Alice')
  expect(!page.url().includes('?'), 'nothing of the answer is in the address')
  await page.goto(authorize({ response_mode: 'form_post', scope: '"' }))
  await heading(page, 'Error: invalid_scope')
  // Where the script does not come, there is a button.
  await page.route('**/static/form_post-*.js', (route) => route.fulfill({ contentType: 'text/javascript', body: '' }))
  await page.goto(authorize({ response_mode: 'form_post' }))
  await looksRight(page, 'page of a form that goes back')
  await page.click('#return')
  await heading(page, 'Hello Alice')
}

async function alice_is_led_on_by_the_application_to_another_origin(page) {
  for (const way of [{ prompt: 'consent' }, { prompt: 'login' }, { prompt: 'consent login', response_mode: 'form_post' }]) {
    await page.goto(authorize({ redirect_uri: `${home}/onward`, ...way }))
    if (await page.locator('#login').count()) await signIn(page)
    await page.locator('#approve').or(page.getByRole('heading', { name: 'Arrived' })).waitFor()
    if (await page.locator('#approve').count()) await page.click('#approve')
    await heading(page, 'Arrived')
  }
}

async function alice_chooses_her_account(page) {
  await page.goto(home)
  await signIn(page)
  await heading(page, 'Hello Alice')
  await page.goto(authorize({ prompt: 'select_account' }))
  await looksRight(page, 'page to choose an account')
  await tabTo(page, 'continue_as')
  await page.keyboard.press('Enter')
  await heading(page, 'Hello Alice')
  await page.goto(authorize({ prompt: 'select_account' }))
  await page.click('#another')
  await signIn(page)
  await heading(page, 'Hello Alice')
}

async function alice_signs_out(page) {
  await page.goto(home)
  await signIn(page)
  await heading(page, 'Hello Alice')
  await page.goto(`${issuer}/oauth2/logout?${new URLSearchParams({ client_id: 'app', post_logout_redirect_uri: `${home}/bye` })}`)
  await page.click('#logout')
  await heading(page, 'Come back soon')
  await page.goto(home)
  await signIn(page)
  await heading(page, 'Hello Alice')
  await page.goto(`${issuer}/login`)
  await heading(page, 'Signed in')
  await page.click('#logout')
  await heading(page, 'Signed out')
  await page.goto(home)
  await heading(page, 'Sign in')
}

async function alice_uses_the_keyboard_alone(page) {
  const { keyboard } = page
  await page.goto(authorize({ prompt: 'consent' }))
  await tabTo(page, 'username')
  await keyboard.type('alice')
  await tabTo(page, 'password')
  await keyboard.type('correct-horse-battery')
  await keyboard.press('Enter')
  await heading(page, 'to use your account?')
  await tabTo(page, 'approve')
  await keyboard.press('Enter')
  await heading(page, 'Hello Alice')
  await page.goto(authorize({ prompt: 'consent' }))
  await tabTo(page, 'deny')
  await keyboard.press('Space')
  await heading(page, 'Error: access_denied')
  await page.goto(`${issuer}/oauth2/logout`)
  await tabTo(page, 'logout')
  await keyboard.press('Enter')
  await heading(page, 'Signed out')
}

async function the_pages_look_right(page, complaints) {
  await page.goto(home)
  await looksRight(page, 'login page')
  await page.fill('#username', 'alice')
  await page.fill('#password', 'wrong')
  await page.click('#login')
  await looksRight(page, 'login page with its error')
  const word = 'https://graph.example.com/a/permission/with/a/long/name.ReadWrite.All'
  await page.goto(authorize({ prompt: 'consent', scope: `openid profile email offline_access ${word}` }))
  await signIn(page)
  await page.waitForSelector('#approve')
  await looksRight(page, 'consent page')
  await page.goto(`${issuer}/login`)
  await looksRight(page, 'page of who is signed in')
  await page.goto(`${issuer}/oauth2/logout`)
  await looksRight(page, 'page that confirms signing out')
  await page.click('#logout')
  await heading(page, 'Signed out')
  await looksRight(page, 'page after signing out')
  await page.goto(authorize({ client_id: `there-is-no-such-client-${'x'.repeat(80)}` }))
  await heading(page, 'Error')
  await looksRight(page, 'error page')
  await page.goto(issuer)
  await looksRight(page, 'page at the root')
  const others = complaints.splice(0).filter((complaint) => !/status of 40[03]/.test(complaint))
  complaints.push(...others)
}

async function a_stranger_s_script_does_not_run_and_no_frame_shows_a_page(page, complaints) {
  const blocked = (directive) => page.waitForEvent('console', (message) => message.text().includes(directive))
  await page.goto(home)
  const both = Promise.all([blocked('script'), blocked('img-src')])
  await page.evaluate(() => {
    const script = document.createElement('script')
    script.textContent = 'globalThis.stranger = true'
    const image = document.createElement('img')
    image.src = 'http://127.0.0.1:9/stranger.png'
    document.body.append(script, image)
  })
  await both
  expect(!(await page.evaluate(() => globalThis.stranger)), 'an inline script does not run')
  const framed = blocked('frame-ancestors')
  await page.goto(`${home}/frame`)
  await framed
  expect(!(await page.frames()[1].content()).includes('password'), 'a frame shows no login page')
  complaints.splice(0)
}

try {
  await play(executable, [
    alice_signs_in_at_the_second_try_and_consents,
    alice_denies,
    alice_returns_by_a_form_that_posts_itself,
    alice_is_led_on_by_the_application_to_another_origin,
    alice_chooses_her_account,
    alice_signs_out,
    alice_uses_the_keyboard_alone,
    the_pages_look_right,
    a_stranger_s_script_does_not_run_and_no_frame_shows_a_page,
  ])
} finally {
  application.close()
  application.closeAllConnections()
}
