// oauth4webapi as application: every answer goes through the library's own checks, the signatures of ID tokens included.
//
// Run by tests/interop/main.rs: oauth4webapi.mjs ISSUER

import * as oauth from 'oauth4webapi'

import { register } from './administrator.mjs'
import { Browser, expect } from './browser.mjs'

const issuer = new URL(process.argv[2])
const redirect_uri = 'http://localhost:4200/cb'
const scope = 'openid profile email'
const insecure = { [oauth.allowInsecureRequests]: true }

const discover = (algorithm) =>
  oauth.discoveryRequest(issuer, { algorithm, ...insecure }).then((answer) => oauth.processDiscoveryResponse(issuer, answer))
const as = await discover('oidc')
expect(JSON.stringify(as) === JSON.stringify(await discover('oauth2')), 'both documents of discovery say the same')

/** It must fail with this error of the server, or this code of the library. */
async function refused(error, promise) {
  const found = await promise.then(
    (answer) => `an answer: ${JSON.stringify(answer)}`,
    // In what came back to the application, in a challenge (RFC 6750 §3), or in a body, even beside a challenge (RFC 6749 §5.2).
    async (failure) =>
      failure.error ?? failure.cause?.[0]?.parameters?.error ?? (await failure.response?.json())?.error ?? failure.code ?? String(failure),
  )
  expect(found === error, `${error}, not ${found}`)
}

/** An application: what the library is given of it, and what can be asked in its name. */
class Application {
  constructor(id, authentication, metadata = {}) {
    this.client = { client_id: id, ...metadata }
    this.authentication = authentication
  }

  /** Sends the browser; answers what came back and what the checks need. */
  async send(browser, more = {}, { sign = (parameters) => parameters, decision = 'approve' } = {}) {
    const verifier = oauth.generateRandomCodeVerifier()
    const checks = { verifier, state: oauth.generateRandomState(), nonce: oauth.generateRandomNonce() }
    const parameters = await sign(
      new URLSearchParams({
        client_id: this.client.client_id,
        redirect_uri,
        response_type: 'code',
        scope,
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state: checks.state,
        nonce: checks.nonce,
        ...more,
      }),
    )
    return { checks, returned: await browser.follow(`${as.authorization_endpoint}?${parameters}`, decision) }
  }

  /** RFC 9207 and the state are checked here. */
  async returned({ checks, returned }) {
    return oauth.validateAuthResponse(as, this.client, returned, checks.state)
  }

  async redeem(parameters, { verifier, nonce }, maxAge) {
    const { client, authentication } = this
    const answer = await oauth.authorizationCodeGrantRequest(as, client, authentication, parameters, redirect_uri, verifier, insecure)
    const expected = { expectedNonce: nonce, maxAge, requireIdToken: true }
    const tokens = await oauth.processAuthorizationCodeResponse(as, client, answer, expected)
    await oauth.validateApplicationLevelSignature(as, answer, insecure)
    return tokens
  }

  async refresh(token) {
    const answer = await oauth.refreshTokenGrantRequest(as, this.client, this.authentication, token, insecure)
    return oauth.processRefreshTokenResponse(as, this.client, answer)
  }

  async userinfo(token, subject) {
    const answer = await oauth.userInfoRequest(as, this.client, token, insecure)
    const claims = await oauth.processUserInfoResponse(as, this.client, subject, answer)
    if (this.client.userinfo_signed_response_alg) await oauth.validateApplicationLevelSignature(as, answer, insecure)
    return claims
  }

  async introspect(token) {
    const answer = await oauth.introspectionRequest(as, this.client, this.authentication, token, insecure)
    return oauth.processIntrospectionResponse(as, this.client, answer)
  }

  async revoke(token) {
    return oauth.processRevocationResponse(await oauth.revocationRequest(as, this.client, this.authentication, token, insecure))
  }

  async credentials(parameters) {
    const answer = await oauth.clientCredentialsGrantRequest(as, this.client, this.authentication, parameters, insecure)
    return oauth.processClientCredentialsResponse(as, this.client, answer)
  }
}

async function the_code_flow(app, { isPublic = false, sign } = {}) {
  const browser = new Browser()
  const sent = await app.send(browser, { max_age: 600 }, { sign })
  const parameters = await app.returned(sent)
  await refused('invalid_grant', app.redeem(parameters, { ...sent.checks, verifier: oauth.generateRandomCodeVerifier() }, 600))
  const tokens = await app.redeem(parameters, sent.checks, 600)
  expect(tokens.token_type === 'bearer' && tokens.expires_in > 0, `the answer: ${JSON.stringify(tokens)}`)
  const claims = oauth.getValidatedIdTokenClaims(tokens)
  expect(claims.sub === 'alice', `the ID token: ${JSON.stringify(claims)}`)
  const user = await app.userinfo(tokens.access_token, claims.sub)
  expect(user.email === 'alice@example.com' && user.given_name === 'Alice', `userinfo: ${JSON.stringify(user)}`)

  const refreshed = await app.refresh(tokens.refresh_token)
  const again = oauth.getValidatedIdTokenClaims(refreshed)
  expect(refreshed.refresh_token !== tokens.refresh_token, 'the refresh token is rotated')
  expect(again.sub === 'alice' && again.auth_time === claims.auth_time, `the same sign-in: ${JSON.stringify(again)}`)
  if (!isPublic) {
    const active = await app.introspect(refreshed.access_token)
    const fits = active.active && active.sub === 'alice' && active.client_id === app.client.client_id && active.scope === scope
    expect(fits, `introspection: ${JSON.stringify(active)}`)
  }
  await app.revoke(refreshed.refresh_token)
  await refused('invalid_grant', app.refresh(refreshed.refresh_token))
  await refused('invalid_token', app.userinfo(refreshed.access_token, 'alice'))
  if (!isPublic) expect(!(await app.introspect(refreshed.access_token)).active, 'a revoked token is inactive')
  return browser
}

async function client_credentials(app) {
  const tokens = await app.credentials({ scope: 'things.read' })
  expect(tokens.scope === 'things.read' && !tokens.refresh_token, `client credentials: ${JSON.stringify(tokens)}`)
  expect((await app.introspect(tokens.access_token)).client_id === app.client.client_id, 'the token is of the client')
  await app.revoke(tokens.access_token)
  expect(!(await app.introspect(tokens.access_token)).active, 'a revoked token is inactive')
}

/** OpenID Connect Core §3.3: the ID token in the fragment vouches for the code beside it. */
async function the_hybrid_flow(app) {
  const { checks, returned } = await app.send(new Browser(), { response_type: 'code id_token' })
  const validated = (url) =>
    oauth.validateCodeIdTokenResponse(as, app.client, url, checks.nonce, checks.state, undefined, insecure)
  const other = new URL(returned)
  other.hash = other.hash.replace(/code=[^&]*/, `code=${oauth.generateRandomState()}`)
  await refused('OAUTH_JWT_CLAIM_COMPARISON_FAILED', validated(other))
  const tokens = await app.redeem(await validated(returned), checks)
  expect(oauth.getValidatedIdTokenClaims(tokens).sub === 'alice', 'the ID token of the hybrid flow')
}

for (const method of [oauth.ClientSecretBasic, oauth.ClientSecretPost]) {
  const app = new Application('web-app', method('client-secret'))
  const browser = await the_code_flow(app)
  await refused('access_denied', app.returned(await app.send(browser, { prompt: 'consent' }, { decision: 'deny' })))
  await client_credentials(app)
}
await the_code_flow(new Application('spa', oauth.None()), { isPublic: true })
await refused('invalid_client', new Application('web-app', oauth.ClientSecretBasic('wrong')).credentials({}))

const flow = { redirect_uri, refresh_token: true }
for (const alg of ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA']) {
  const metadata = { id_token_signed_response_alg: alg, userinfo_signed_response_alg: alg }
  await register(issuer.origin, `signed-${alg}`, {
    secret: 'client-secret',
    grant_types: ['code'],
    response_types: ['code', 'code id_token'],
    auth: { authorization_code: flow },
    ...metadata,
  })
  const app = new Application(`signed-${alg}`, oauth.ClientSecretBasic('client-secret'), metadata)
  await the_code_flow(app)
  await the_hybrid_flow(app)
}

for (const alg of ['RS256', 'PS384', 'ES512', 'EdDSA']) {
  const id = `key-${alg}`
  const { privateKey, publicKey } = await oauth.generateKeyPair(alg === 'EdDSA' ? 'Ed25519' : alg)
  const jwk = { ...(await crypto.subtle.exportKey('jwk', publicKey)), kid: 'of-the-client' }
  await register(issuer.origin, id, {
    grant_types: ['code', 'client_credentials'],
    auth: { authorization_code: flow },
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [jwk] },
  })
  const key = { key: privateKey, kid: 'of-the-client' }
  const app = new Application(id, oauth.PrivateKeyJwt(key))
  const sign = async (parameters) =>
    new URLSearchParams({
      client_id: id, response_type: 'code', scope, request: await oauth.issueRequestObject(as, app.client, parameters, key),
    })
  await the_code_flow(app, { sign })
  await client_credentials(app)
  const stranger = await oauth.generateKeyPair('ES256')
  await refused('invalid_client', new Application(id, oauth.PrivateKeyJwt(stranger.privateKey)).credentials({}))
}

/** RFC 7591: a client that nobody prepared. */
async function registered(metadata) {
  return oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(as, metadata, insecure))
}
const wanted = { redirect_uris: [redirect_uri], grant_types: ['authorization_code', 'refresh_token'] }
const { client_id, client_secret } = await registered(wanted)
await the_code_flow(new Application(client_id, oauth.ClientSecretBasic(client_secret)))
await refused('invalid_redirect_uri', registered({ ...wanted, redirect_uris: ['http://app.example/cb'] }))
