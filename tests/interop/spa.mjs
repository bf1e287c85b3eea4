// oidc-client-ts in Chromium: an application that is a page, from an origin of its own, with a public client.
//
// Run by tests/interop/main.rs: spa.mjs CHROMIUM ISSUER

import { createServer } from 'node:http'
import { readFile } from 'node:fs/promises'

import { register } from './administrator.mjs'
import { expect } from './browser.mjs'
import { play } from './chromium.mjs'

const [, , executable, issuer] = process.argv

const library = await readFile(new URL('./node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js', import.meta.url))

/** The page of the application, at every address that a browser comes back to. */
const html = `<!doctype html><title>App</title><link rel="icon" href="data:,"><script src="/oidc-client-ts.js"></script><script type="module">
  const settings = {
    authority: '${issuer}',
    client_id: 'page',
    redirect_uri: location.origin + '/callback',
    silent_redirect_uri: location.origin + '/callback',
    popup_redirect_uri: location.origin + '/callback',
    post_logout_redirect_uri: location.origin + '/bye',
    popup_post_logout_redirect_uri: location.origin + '/bye',
    scope: 'openid profile email',
    loadUserInfo: true,
    automaticSilentRenew: false,
  }
  Object.assign(globalThis, { settings, manager: new oidc.UserManager(settings) })
  const show = (text) => document.body.append(Object.assign(document.createElement('h1'), { textContent: text }))
  const there = {
    '/callback': async () => {
      const user = await manager.signinCallback()
      return user ? 'Hello ' + user.profile.given_name : 'Done'
    },
    '/bye': async () => 'Bye ' + (await manager.signoutCallback())?.userState.from,
  }
  show(await (there[location.pathname] ?? (async () => 'Welcome'))().catch(String))
</script>`

const application = createServer((request, response) => {
  const isLibrary = request.url === '/oidc-client-ts.js'
  response.setHeader('content-type', isLibrary ? 'text/javascript' : 'text/html').end(isLibrary ? library : html)
})
await new Promise((listening) => application.listen(0, listening))
const { port } = application.address()
/** On the site of the server, whose other ports are other origins; and on another site. */
const near = `http://localhost:${port}`
const far = `http://127.0.0.1:${port}`

await register(issuer, 'page', {
  grant_types: ['code'],
  auth: { authorization_code: { redirect_uris: [`${near}/callback`, `${far}/callback`], refresh_token: true } },
  post_logout_redirect_uris: [`${near}/bye`, `${far}/bye`],
})

const heading = (page, text) => page.getByRole('heading', { name: text }).waitFor()

async function goto(page, home) {
  await page.goto(home)
  await heading(page, 'Welcome')
}

async function credentials(page) {
  await page.fill('#username', 'alice')
  await page.fill('#password', 'correct-horse-battery')
  await page.click('#login')
}

/** The client is not ours: Alice is asked for her consent, once. */
async function signIn(page, home, { consent = false } = {}) {
  await goto(page, home)
  await page.evaluate(() => void manager.signinRedirect())
  await page.waitForSelector('#username')
  await credentials(page)
  if (consent) await page.click('#approve')
  await heading(page, 'Hello Alice')
}

/** What the library keeps of the user, as data. */
const user = (page) => page.evaluate(async () => ({ ...(await manager.getUser()) }))

/** Renews as told; answers the user afterwards, or the error. */
const renew = (page, how) =>
  page.evaluate((how) => manager.signinSilent(how).then((user) => ({ ...user }), (failure) => failure.error ?? String(failure)), how)

function expectRenewed(before, after, what) {
  expect(after.access_token, `${what}: ${JSON.stringify(after)}`)
  expect(after.access_token !== before.access_token && after.refresh_token !== before.refresh_token, `${what} gives new tokens`)
  expect(after.profile.sub === 'alice' && after.profile.email === 'alice@example.com', `${what}: ${JSON.stringify(after.profile)}`)
}

async function a_page_signs_in_renews_and_signs_out(page, complaints) {
  await signIn(page, near, { consent: true })
  const first = await user(page)
  expect(first.profile.sub === 'alice' && first.profile.email === 'alice@example.com', `the user: ${JSON.stringify(first)}`)
  expect(first.scope === 'openid profile email' && first.expires_at > Date.now() / 1000, `the user: ${JSON.stringify(first)}`)

  const second = await renew(page, {})
  expectRenewed(first, second, 'renewing by the refresh token')
  // The frame comes back at once: what redirects it is no page, so that what keeps our pages out of frames does not matter.
  const third = await renew(page, { forceIframeAuth: true })
  expectRenewed(second, third, 'renewing in a frame')
  const fourth = await page.evaluate(async () => {
    const { expires_in } = await manager.getUser()
    const early = { ...settings, automaticSilentRenew: true, accessTokenExpiringNotificationTimeInSeconds: expires_in }
    const other = new oidc.UserManager(early)
    const renewed = new Promise((loaded) => other.events.addUserLoaded(loaded))
    await other.getUser()
    const user = await renewed
    other.stopSilentRenew()
    return { ...user }
  })
  expectRenewed(third, fourth, 'renewing before the token expires')

  // Errors are legible from another origin, too.
  await page.evaluate(() => manager.revokeTokens(['access_token', 'refresh_token']))
  const gone = await page.evaluate(async (tokens) => {
    await manager.storeUser(new oidc.User(tokens))
    return manager.signinSilent().catch((failure) => failure.error)
  }, fourth)
  expect(gone === 'invalid_grant', `a revoked refresh token: ${JSON.stringify(gone)}`)
  expect(/^[^\n]*status of 400[^\n]*$/.test(complaints.splice(0).join('\n')), 'the browser tells the status, and complains of nothing else')

  // With the ID token as hint nobody is asked.
  await page.evaluate(() => void manager.signoutRedirect({ state: { from: 'the page' } }))
  await heading(page, 'Bye the page')
  expect((await page.evaluate(() => manager.getUser())) === null, 'the library has forgotten the user')
  const nobody = await renew(page, { forceIframeAuth: true })
  expect(nobody === 'login_required', `nobody is signed in: ${JSON.stringify(nobody)}`)
}

async function a_page_notices_that_the_session_ended_elsewhere(page) {
  await signIn(page, near)
  await page.evaluate(() => {
    const watching = new oidc.UserManager({ ...settings, monitorSession: true, checkSessionIntervalInSeconds: 1 })
    globalThis.heard = new Promise((told) => {
      watching.events.addUserSignedOut(() => told('signed out'))
      watching.events.addUserSessionChanged(() => told('changed'))
    })
  })
  const early = await page.evaluate(() => Promise.race([heard, new Promise((later) => setTimeout(later, 1500, 'nothing'))]))
  expect(early === 'nothing', `the session is as it was: ${early}`)
  const other = await page.context().newPage()
  await other.goto(`${issuer}/oauth2/logout`)
  await other.click('#logout')
  await other.getByRole('heading', { name: 'Signed out' }).waitFor()
  const late = await page.evaluate(() => heard)
  expect(late === 'signed out', `the session has ended: ${late}`)
}

async function a_page_of_another_site_renews_by_its_refresh_token(page) {
  await signIn(page, far)
  const first = await user(page)
  expectRenewed(first, await renew(page, {}), 'renewing by the refresh token')
  // Our cookie stays away from frames in other sites (SameSite=Lax), as browsers want it of all cookies.
  const framed = await renew(page, { forceIframeAuth: true })
  expect(framed === 'login_required', `a frame in another site: ${JSON.stringify(framed)}`)
  await page.evaluate(() => void manager.signoutRedirect({ state: { from: 'far' } }))
  await heading(page, 'Bye far')
}

async function a_page_signs_in_and_out_by_a_popup(page) {
  await goto(page, near)
  const opened = page.waitForEvent('popup')
  const signedIn = page.evaluate(async () => (await manager.signinPopup()).profile.given_name)
  const popup = await opened
  await popup.waitForSelector('#username')
  await credentials(popup)
  expect((await signedIn) === 'Alice', 'the popup has told who signed in')
  expect((await user(page)).profile.sub === 'alice', 'and the page keeps it')
  await page.evaluate(() => manager.signoutPopup())
  const nobody = await renew(page, { forceIframeAuth: true })
  expect(nobody === 'login_required', `nobody is signed in: ${JSON.stringify(nobody)}`)
}

try {
  await play(executable, [
    a_page_signs_in_renews_and_signs_out,
    a_page_notices_that_the_session_ended_elsewhere,
    a_page_of_another_site_renews_by_its_refresh_token,
    a_page_signs_in_and_out_by_a_popup,
  ])
} finally {
  application.close()
  application.closeAllConnections()
}
