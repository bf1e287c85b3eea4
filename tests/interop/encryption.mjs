// openid-client as application whose ID tokens and userinfo answers are encrypted, by each way to agree on a key.
//
// Run by tests/interop/main.rs: encryption.mjs ISSUER

import { exportJWK, generateKeyPair } from 'jose'
import * as client from 'openid-client'

import { register } from './administrator.mjs'
import { Browser, expect } from './browser.mjs'

const issuer = new URL(process.argv[2])
const redirect_uri = 'http://localhost:4200/cb'

async function checkEncryption(alg, enc) {
  const key = `key-for-${enc}`
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  await register(issuer.origin, 'encrypted', {
    secret: 'client-secret',
    grant_types: ['code'],
    auth: { authorization_code: { redirect_uri } },
    jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: key, use: 'enc', alg }] },
    id_token_signed_response_alg: 'ES384',
    id_token_encrypted_response_alg: alg,
    id_token_encrypted_response_enc: enc,
    userinfo_signed_response_alg: 'PS256',
    userinfo_encrypted_response_alg: alg,
    userinfo_encrypted_response_enc: enc,
  })

  const metadata = { client_secret: 'client-secret', id_token_signed_response_alg: 'ES384', userinfo_signed_response_alg: 'PS256' }
  const config = await client.discovery(issuer, 'encrypted', metadata, undefined, {
    algorithm: 'oidc',
    execute: [client.allowInsecureRequests],
  })
  client.enableDecryptingResponses(config, [enc], { key: privateKey, alg, kid: key })
  client.enableNonRepudiationChecks(config)
  const checks = {
    pkceCodeVerifier: client.randomPKCECodeVerifier(),
    expectedState: client.randomState(),
    expectedNonce: client.randomNonce(),
    idTokenExpected: true,
  }
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri,
    scope: 'openid email',
    code_challenge: await client.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: checks.expectedState,
    nonce: checks.expectedNonce,
  })
  const tokens = await client.authorizationCodeGrant(config, await new Browser().follow(url), checks)
  expect(tokens.id_token.split('.').length === 5, `an encrypted ID token with ${alg}`)
  expect(tokens.claims().sub === 'alice', `its claims: ${JSON.stringify(tokens.claims())}`)
  const userinfo = await client.fetchUserInfo(config, tokens.access_token, 'alice')
  expect(userinfo.email === 'alice@example.com', `userinfo: ${JSON.stringify(userinfo)}`)
}

for (const enc of ['A128GCM', 'A256GCM']) {
  for (const alg of ['RSA-OAEP-256', 'ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A256KW']) await checkEncryption(alg, enc)
}
