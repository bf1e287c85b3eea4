"""The quick start of auth-code-flow's README, with the names of this server in the place of Stack Exchange's.

Run by tests/seeds/auth_code_flow.rs: quick_start.py BASE_URI
"""

import sys
from collections import defaultdict
from urllib.parse import parse_qs, urlsplit

import requests
from auth_code_flow import AbstractBaseFlowManager
from auth_code_flow.exceptions import AuthCodeFlowError

from browser import Browser, expect

STORE = defaultdict(dict)


class StackExchangeFlowManager(AbstractBaseFlowManager):
    access_token_path = '/oauth2/token'
    authorization_path = '/oauth2/authorize'
    base_uri = sys.argv[1]
    client_id = 'stack-exchange'
    client_secret = 'your stack exchange client secret'
    redirect_uri = 'http://localhost:8000/oauth/callback/stackexchange'
    scope = 'no_expiry'

    def store_user_state(self, user, state):
        STORE[user]['state'] = state

    def check_user_state(self, user, state):
        try:
            return STORE[user]['state'] == state
        except KeyError:
            return False


stack_exchange_flow_manager = StackExchangeFlowManager()


def callback(browser, user, decision):
    """Sends the user to the authorization endpoint; answers the query parameters of the callback."""
    state = stack_exchange_flow_manager.make_state()
    stack_exchange_flow_manager.store_user_state(user, state)
    authorization_endpoint = stack_exchange_flow_manager.get_authorization_endpoint(state)
    returned = browser.authorize(authorization_endpoint, decision)
    expect(returned.startswith(stack_exchange_flow_manager.redirect_uri + '?'), f'the callback: {returned}')
    return {name: value for name, [value] in parse_qs(urlsplit(returned).query, strict_parsing=True).items()}


# "They can either approve your authorization request or reject it."
query = callback(Browser(), 'alice', 'deny')
expect(query['error'] == 'access_denied' and query['state'] == STORE['alice']['state'], f'a rejection: {query}')

for post_form_data in [True, False]:
    query = callback(Browser(), 'alice', 'approve')
    state = query['state']
    code = query['code']

    resp = stack_exchange_flow_manager.fetch_access_token('alice', code, state, post_form_data=post_form_data)
    resp_json = resp.json()

    expect(isinstance(resp_json['access_token'], str), f'an access token: {resp_json}')
    expect(resp_json['scope'] == 'no_expiry', f'the scope: {resp_json}')
    bearer = {'Authorization': f"Bearer {resp_json['access_token']}"}
    userinfo = requests.get(f'{stack_exchange_flow_manager.base_uri}/oauth2/userinfo', headers=bearer, timeout=20)
    # The token is good; without openid in its scope it does not show who the user is (RFC 6750, section 3.1).
    expect(userinfo.status_code in (200, 403), f'the access token is taken: {userinfo.status_code} {userinfo.text}')

    try:
        stack_exchange_flow_manager.fetch_access_token('alice', code, state, post_form_data=post_form_data)
        sys.exit('a code was taken twice')
    except AuthCodeFlowError as error:
        expect(error.response.json()['error'] == 'invalid_grant', f'a spent code: {error.response.text}')
