// openid-client as application of a provider that this server stands in for: it finds everything by the issuer, and checks what it gets.
//
// Run by tests/interop/main.rs: dialect.mjs ISSUER

import * as client from 'openid-client'

import { Browser, expect } from './browser.mjs'

const issuer = new URL(process.argv[2])
const config = await client.discovery(issuer, 'web-app', undefined, client.ClientSecretPost('client-secret'), {
  execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
})

const checks = {
  pkceCodeVerifier: client.randomPKCECodeVerifier(),
  expectedState: client.randomState(),
  expectedNonce: client.randomNonce(),
  idTokenExpected: true,
}
const url = client.buildAuthorizationUrl(config, {
  redirect_uri: 'http://localhost:4200/cb',
  scope: 'openid profile email offline_access',
  code_challenge: await client.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
  code_challenge_method: 'S256',
  state: checks.expectedState,
  nonce: checks.expectedNonce,
})
const returned = await new Browser().follow(url)
const tokens = await client.authorizationCodeGrant(config, returned, checks)
const { sub } = tokens.claims()
const claims = await client.fetchUserInfo(config, tokens.access_token, sub)
expect(claims.email === 'alice@example.com', `userinfo knows Alice: ${JSON.stringify(claims)}`)

const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
expect(refreshed.claims().sub === sub, 'the refreshed ID token is about the same person')

const own = await client.clientCredentialsGrant(config)
expect(own.access_token !== refreshed.access_token, 'a token of its own')
