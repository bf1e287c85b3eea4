"""The person and the browser: follows redirects, and fills in the forms of the login and consent pages."""

import sys
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import requests

USERNAME = 'alice@example.com'
PASSWORD = 'correct-horse-battery'


def expect(fact, what):
    """Ends the script where something is not as it must be."""
    if not fact:
        sys.exit(f'NOT AS EXPECTED: {what}')


class Form(HTMLParser):
    """The form of a page: where it goes, and its hidden fields."""

    def __init__(self, html):
        super().__init__()
        self.action, self.fields, self.ids = None, {}, set()
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.add(attributes.get('id'))
        if tag == 'form':
            self.action = attributes['action']
        if tag == 'input' and attributes.get('type') == 'hidden':
            self.fields[attributes['name']] = attributes['value']


class Browser:
    def __init__(self):
        self.http = requests.Session()
        self.http.trust_env = False

    def authorize(self, url, decision='approve'):
        """Goes to an authorization endpoint and answers the address of the application that the browser is sent to."""
        origin = urlsplit(url)[:2]
        page = self.http.get(url, allow_redirects=False, timeout=20)
        for _ in range(10):
            if page.is_redirect:
                url = urljoin(url, page.headers['location'])
                if urlsplit(url)[:2] != origin:
                    return url
                page = self.http.get(url, allow_redirects=False, timeout=20)
                continue
            expect(page.status_code == 200, f'a page at {url}: {page.status_code} {page.text}')
            form = Form(page.text)
            if 'password' in form.ids:
                form.fields.update(username=USERNAME, password=PASSWORD)
            elif 'approve' in form.ids:
                form.fields.update(decision=decision)
            else:
                sys.exit(f'neither a login nor a consent page: {page.text}')
            url = urljoin(url, form.action)
            page = self.http.post(url, data=form.fields, allow_redirects=False, timeout=20)
        sys.exit('the browser goes round in circles')
