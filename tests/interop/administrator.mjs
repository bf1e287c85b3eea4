// The administrator of the server, as far as a script needs one.

import { expect } from './browser.mjs'

/** Puts a client's document. */
export async function register(issuer, id, document) {
  const headers = { authorization: `Basic ${btoa('root:secret')}`, 'content-type': 'application/json' }
  const answer = await fetch(`${issuer}/Client/${id}`, { method: 'PUT', body: JSON.stringify(document), headers })
  expect(answer.ok, `the client is registered: ${answer.status} ${await answer.text()}`)
}
