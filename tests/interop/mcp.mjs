// The MCP SDK as application, against an MCP server that takes the tokens of ours: discovery, the client by registration or by a
// metadata document, authorization, tokens for that one resource, a call, and a refresh.
//
// Run by tests/interop/main.rs: mcp.mjs ISSUER [CLIENT_METADATA_URL]

import { createServer } from 'node:http'

import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import * as oauth from 'oauth4webapi'

import { Browser, expect } from './browser.mjs'

const [issuer, clientMetadataUrl] = process.argv.slice(2)
const redirectUrl = 'http://localhost:4200/cb'
const insecure = { [oauth.allowInsecureRequests]: true }

/** Whose tokens the MCP server has seen, and those it takes no more. */
const seen = []
const refused = new Set()

const metadata = await oauth
  .discoveryRequest(new URL(issuer), { algorithm: 'oauth2', ...insecure })
  .then((answer) => oauth.processDiscoveryResponse(new URL(issuer), answer))

const http = createServer(async (request, response) => {
  const base = `http://localhost:${http.address().port}`
  if (request.url.startsWith('/.well-known/oauth-protected-resource')) {
    response.setHeader('content-type', 'application/json')
    return response.end(
      JSON.stringify({ resource: `${base}/mcp`, authorization_servers: [issuer], scopes_supported: ['things.read', 'offline_access'] }),
    )
  }
  const authorization = request.headers.authorization ?? ''
  try {
    const presented = new Request(`${base}/mcp`, { headers: { authorization } })
    // RFC 9068 §4: signed by the issuer, for this resource, and no other kind of token.
    const claims = await oauth.validateJwtAccessToken(metadata, presented, `${base}/mcp`, insecure)
    if (refused.has(claims.jti)) throw new Error('expired')
    seen.push(claims)
  } catch (failure) {
    if (authorization && !refused.size) console.error(failure)
    const where = `Bearer resource_metadata="${base}/.well-known/oauth-protected-resource/mcp"`
    response.writeHead(401, { 'www-authenticate': where })
    return response.end()
  }
  const server = new McpServer({ name: 'things', version: '1.0.0' })
  server.registerTool('count', { description: 'Counts things' }, async () => ({ content: [{ type: 'text', text: '42' }] }))
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined })
  response.on('close', () => transport.close())
  await server.connect(transport)
  await transport.handleRequest(request, response)
})
await new Promise((listening) => http.listen(0, 'localhost', listening))

/** What an application keeps. */
const kept = {}
const provider = {
  redirectUrl,
  clientMetadataUrl,
  clientMetadata: {
    client_name: 'MCP client',
    redirect_uris: [redirectUrl],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  },
  state: () => 'a-state',
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => void (kept.tokens = tokens),
  redirectToAuthorization: (url) => void (kept.url = url),
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  codeVerifier: () => kept.verifier,
}

const resource = new URL(`http://localhost:${http.address().port}/mcp`)
const connect = async () => {
  const client = new Client({ name: 'an application', version: '1.0.0' })
  const transport = new StreamableHTTPClientTransport(resource, { authProvider: provider })
  await client.connect(transport)
  return client
}

const transport = new StreamableHTTPClientTransport(resource, { authProvider: provider })
const failure = await new Client({ name: 'an application', version: '1.0.0' }).connect(transport).catch((failure) => failure)
expect(failure instanceof UnauthorizedError, `it has to ask the person first: ${failure}`)
expect(kept.url.searchParams.get('resource') === resource.href, `it names the resource: ${kept.url}`)
expect(kept.url.searchParams.get('client_id') === (clientMetadataUrl ?? kept.client.client_id), `who it is: ${kept.url}`)
const registered = kept.client.client_id_issued_at !== undefined
expect(registered === !clientMetadataUrl, 'a client is registered where it is not described')

const returned = await new Browser().follow(kept.url)
expect(returned.searchParams.get('state') === 'a-state' && returned.searchParams.get('iss') === issuer, `what came back: ${returned}`)
await transport.finishAuth(returned.searchParams.get('code'))
expect(kept.tokens.refresh_token, 'it may stay')

const client = await connect()
const answer = await client.callTool({ name: 'count' })
expect(answer.content[0].text === '42', `the tool: ${JSON.stringify(answer)}`)
const first = seen.at(-1)
expect(first.aud === resource.href && first.scope === 'things.read offline_access', `the token: ${JSON.stringify(first)}`)

// The token has had its day: the SDK refreshes by itself.
refused.add(first.jti)
const before = kept.tokens.refresh_token
const again = await client.callTool({ name: 'count' })
expect(again.content[0].text === '42' && kept.tokens.refresh_token !== before, 'it was refreshed')
expect(seen.at(-1).jti !== first.jti && seen.at(-1).aud === resource.href, `the second token: ${JSON.stringify(seen.at(-1))}`)

await client.close()
http.close()
http.closeAllConnections()
