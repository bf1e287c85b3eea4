// openid-client as application: discovery, the code flow with PKCE, nonce, state and iss, tokens, and the end of the session.
//
// Run by tests/interop/main.rs: client.mjs ISSUER

import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'

import { Browser, expect } from './browser.mjs'

const issuer = new URL(process.argv[2])
const redirect_uri = 'http://localhost:4200/cb'
const scope = 'openid profile email'

const discover = (id, metadata, authentication, algorithm = 'oidc') =>
  client.discovery(issuer, id, metadata, authentication, { algorithm, execute: [client.allowInsecureRequests] })

/** The promise must fail with this OAuth error, or this code of the library. */
async function refused(error, promise) {
  const found = await promise.then(
    (answer) => `an answer: ${JSON.stringify(answer)}`,
    (failure) => failure.error ?? failure.code ?? String(failure),
  )
  expect(found === error, `${error}, not ${found}`)
}

/** What a resource server says to a JWT access token (RFC 9068). */
async function atResourceServer(config, token) {
  const request = new Request('http://things.example/', { headers: { authorization: `Bearer ${token}` } })
  const server = config.serverMetadata()
  return oauth.validateJwtAccessToken(server, request, server.issuer, { [oauth.allowInsecureRequests]: true })
}

async function startCodeFlow(config, browser, more = {}, decision = 'approve') {
  const checks = {
    pkceCodeVerifier: client.randomPKCECodeVerifier(),
    expectedState: client.randomState(),
    expectedNonce: client.randomNonce(),
    idTokenExpected: true,
  }
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri,
    scope,
    code_challenge: await client.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    ...more,
  })
  return { returned: await browser.follow(url, decision), checks }
}

async function checkCodeFlow(config, { algorithm, jwt = false, confidential = true } = {}) {
  const id = config.clientMetadata().client_id
  const browser = new Browser()

  // What came back is for this issuer, this state and this verifier alone.
  const { returned, checks } = await startCodeFlow(config, browser)
  expect(returned.searchParams.get('iss') === config.serverMetadata().issuer, `iss is in ${returned}`)
  const foreign = new URL(returned)
  foreign.searchParams.set('iss', 'http://issuer.example')
  await refused('OAUTH_INVALID_RESPONSE', client.authorizationCodeGrant(config, foreign, checks))
  await refused('OAUTH_INVALID_RESPONSE', client.authorizationCodeGrant(config, returned, { ...checks, expectedState: 'x' }))
  const stranger = { ...checks, pkceCodeVerifier: client.randomPKCECodeVerifier() }
  await refused('invalid_grant', client.authorizationCodeGrant(config, returned, stranger))

  const tokens = await client.authorizationCodeGrant(config, returned, checks)
  const claims = tokens.claims()
  expect(claims.sub === 'alice' && claims.aud === id && typeof claims.auth_time === 'number', `the ID token: ${JSON.stringify(claims)}`)
  if (algorithm) {
    const header = JSON.parse(Buffer.from(tokens.id_token.split('.')[0], 'base64url').toString())
    expect(header.alg === algorithm, `the algorithm of the ID token: ${header.alg}`)
  }
  if (jwt) {
    const access = await atResourceServer(config, tokens.access_token)
    expect(access.sub === 'alice' && access.client_id === id && access.scope === scope, `the access token: ${JSON.stringify(access)}`)
  }
  const user = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
  expect(user.email === 'alice@example.com' && user.family_name === 'Liddell', `userinfo: ${JSON.stringify(user)}`)

  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
  expect(refreshed.refresh_token !== tokens.refresh_token, 'the refresh token is rotated')
  expect(refreshed.claims().sub === 'alice' && refreshed.claims().auth_time === claims.auth_time, 'the same sign-in')
  if (confidential) {
    const active = await client.tokenIntrospection(config, refreshed.access_token)
    expect(active.active && active.sub === 'alice' && active.scope === scope, `introspection: ${JSON.stringify(active)}`)
  }
  await client.tokenRevocation(config, refreshed.refresh_token, { token_type_hint: 'refresh_token' })
  await refused('invalid_grant', client.refreshTokenGrant(config, refreshed.refresh_token))
  if (confidential) {
    const gone = await client.tokenIntrospection(config, refreshed.access_token)
    expect(gone.active === false, `introspection of a revoked token: ${JSON.stringify(gone)}`)
  }

  // The browser is signed in, so that nothing is asked; until the application signs the person out.
  const silent = await startCodeFlow(config, browser, { prompt: 'none' })
  const again = await client.authorizationCodeGrant(config, silent.returned, silent.checks)
  const logout = client.buildEndSessionUrl(config, {
    id_token_hint: again.id_token,
    post_logout_redirect_uri: 'http://localhost:4200/bye',
    state: 'done',
  })
  const bye = await browser.follow(logout)
  expect(bye.href === 'http://localhost:4200/bye?state=done', `the end of the session: ${bye}`)
  const signedOut = await startCodeFlow(config, browser, { prompt: 'none' })
  await refused('login_required', client.authorizationCodeGrant(config, signedOut.returned, signedOut.checks))
}

async function checkClientCredentials(config, jwt) {
  const id = config.clientMetadata().client_id
  const tokens = await client.clientCredentialsGrant(config, { scope: 'things.read' })
  expect(tokens.scope === 'things.read' && !tokens.refresh_token, `client credentials: ${JSON.stringify(tokens)}`)
  if (jwt) {
    const access = await atResourceServer(config, tokens.access_token)
    expect(access.sub === id && access.client_id === id, `the subject is the client: ${JSON.stringify(access)}`)
  }
  expect((await client.tokenIntrospection(config, tokens.access_token)).active, 'the token is active')
  await client.tokenRevocation(config, tokens.access_token)
  expect(!(await client.tokenIntrospection(config, tokens.access_token)).active, 'a revoked token is inactive')
}

for (const authentication of [client.ClientSecretPost, client.ClientSecretBasic]) {
  const config = await discover('web-app', undefined, authentication('client-secret'), 'oauth2')
  await checkCodeFlow(config)
  await checkClientCredentials(config, false)
}
for (const algorithm of ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA']) {
  const metadata = { client_secret: 'client-secret', id_token_signed_response_alg: algorithm }
  const config = await discover(`jwt-${algorithm}`, metadata)
  // ID tokens from the token endpoint are believed for their connection; this has their signature checked as well.
  client.enableNonRepudiationChecks(config)
  await checkCodeFlow(config, { algorithm, jwt: true })
  await checkClientCredentials(config, true)
}
await checkCodeFlow(await discover('spa', undefined, client.None()), { confidential: false })

const config = await discover('web-app', 'wrong')
await refused('invalid_client', client.clientCredentialsGrant(config))
const denied = await startCodeFlow(config, new Browser(), { prompt: 'consent' }, 'deny')
await refused('access_denied', client.authorizationCodeGrant(config, denied.returned, denied.checks))
