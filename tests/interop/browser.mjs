// The person and the browser, as far as the protocol needs them: cookies, redirects, the login and the consent form.

/** Ends the script where something is not as it must be. */
export function expect(fact, what) {
  if (fact) return
  throw new Error(`NOT AS EXPECTED: ${what}`)
}

export class Browser {
  #cookies = new Map()

  /** Goes to an address of the server; answers the address of the application that the browser is sent to. */
  async follow(start, decision = 'approve') {
    const { origin } = new URL(start)
    let url = new URL(start)
    let body
    for (let step = 0; step < 10; step++) {
      const answer = await this.#send(url, body)
      body = undefined
      if (answer.status === 303 || answer.status === 302) {
        url = new URL(answer.headers.get('location'), url)
        if (url.origin !== origin) return url
        continue
      }
      const html = await answer.text()
      expect(answer.status === 200, `a page at ${url}: ${answer.status} ${html}`)
      body = new URLSearchParams()
      for (const [, name, value] of html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)) body.set(name, value)
      if (html.includes('id="password"')) {
        body.set('username', 'alice')
        body.set('password', 'correct-horse-battery')
      } else if (html.includes('id="approve"')) {
        body.set('decision', decision)
      } else {
        throw new Error(`neither a login nor a consent page: ${html}`)
      }
      url = new URL(/<form[^>]* action="([^"]*)"/.exec(html)[1].replaceAll('&#38;', '&'), url)
    }
    throw new Error('the browser goes round in circles')
  }

  async #send(url, body) {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const method = body ? 'POST' : 'GET'
    const signal = AbortSignal.timeout(20_000)
    const answer = await fetch(url, { method, body, signal, redirect: 'manual', headers: cookie ? { cookie } : {} })
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]*)=([^;]*)/.exec(line)
      if (/max-age=0/i.test(line)) this.#cookies.delete(name)
      else this.#cookies.set(name, value)
    }
    return answer
  }
}
