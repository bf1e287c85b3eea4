"""requests-oauthlib as application: the code flow of a confidential client, tokens that refresh themselves, and the other grants.

Run by tests/interop/main.rs: oauthlib_session.py ISSUER
"""

import os
import sys
import time

# The server of the test has no https. Scopes that change without being told stay an error.
os.environ['OAUTHLIB_INSECURE_TRANSPORT'] = '1'

import requests
from oauthlib.oauth2 import BackendApplicationClient, LegacyApplicationClient, OAuth2Error
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from browser import PASSWORD, USERNAME, Browser, expect

ISSUER = sys.argv[1]
CALLBACK = 'http://localhost:4200/cb'
SCOPE = ['openid', 'profile', 'email']
CLIENT, SECRET = 'web-app', 'client-secret'

metadata = requests.get(f'{ISSUER}/.well-known/openid-configuration', timeout=20).json()
token_url, userinfo_url = metadata['token_endpoint'], metadata['userinfo_endpoint']


def refused(error, call, *arguments, **named):
    """The call must fail with this error, of the server or of the library."""
    try:
        answer = call(*arguments, **named)
    except OAuth2Error as found:
        expect(found.error == error, f'{error}, not {found!r}')
    else:
        sys.exit(f'NOT AS EXPECTED: {error}, but it was answered: {answer}')


def application(**more):
    return OAuth2Session(CLIENT, redirect_uri=CALLBACK, scope=SCOPE, **more)


def check_user(app):
    answer = app.get(userinfo_url, timeout=20)
    expect(answer.status_code == 200, f'userinfo: {answer.status_code} {answer.text}')
    user = answer.json()
    expect((user['sub'], user['email'], user['given_name']) == ('alice', 'alice@example.com', 'Alice'), f'userinfo: {user}')


def code_flow(pkce, **secret):
    """The library checks the state, and that the scope is the one it asked for."""
    app = application(pkce=pkce)
    url, _ = app.authorization_url(metadata['authorization_endpoint'], nonce='n')
    returned = Browser().authorize(url)
    refused('mismatching_state', application(state='another').fetch_token, token_url, authorization_response=returned, **secret)
    if pkce:
        refused('invalid_grant', application(state=app._state).fetch_token, token_url, authorization_response=returned, **secret)
    token = app.fetch_token(token_url, authorization_response=returned, **secret)
    expect(token['scope'] == SCOPE and token['id_token'], f'the tokens: {token}')
    check_user(app)
    return app, returned


def check_refresh():
    app, _ = code_flow('S256', client_secret=SECRET)
    first = dict(app.token)
    basic = HTTPBasicAuth(CLIENT, SECRET)
    token = app.refresh_token(token_url, auth=basic)
    expect(token['refresh_token'] != first['refresh_token'], 'the refresh token is rotated')
    expect(token['access_token'] != first['access_token'], 'a refresh gives a new access token')
    check_user(app)

    # As its documentation shows it: a token that has had its day is refreshed on the way, and the application told.
    kept = []
    later = application(
        token={**token, 'expires_at': time.time() - 1},
        auto_refresh_url=token_url,
        auto_refresh_kwargs={'client_id': CLIENT, 'client_secret': SECRET},
        token_updater=kept.append,
    )
    check_user(later)
    expect(len(kept) == 1 and kept[0]['access_token'] != token['access_token'], f'the token was refreshed once: {kept}')

    answer = requests.post(metadata['revocation_endpoint'], {'token': kept[0]['refresh_token']}, auth=basic, timeout=20)
    expect(answer.status_code == 200, f'revocation: {answer.status_code} {answer.text}')
    refused('invalid_grant', later.refresh_token, token_url)


def check_replay():
    """RFC 6749 §4.1.2: a code that comes twice is refused, and takes with it what was issued for it."""
    app, returned = code_flow('S256', auth=HTTPBasicAuth(CLIENT, SECRET))
    token = dict(app.token)
    refused('invalid_grant', app.fetch_token, token_url, authorization_response=returned, client_secret=SECRET)
    answer = application(token=token).get(userinfo_url, timeout=20)
    expect(answer.status_code == 401, f'the first token has ended: {answer.status_code} {answer.text}')


def check_denied():
    app = application(pkce='S256')
    url, _ = app.authorization_url(metadata['authorization_endpoint'], prompt='consent')
    refused('access_denied', app.fetch_token, token_url, authorization_response=Browser().authorize(url, 'deny'))


def check_other_grants():
    # By HTTP Basic, and in the body.
    for more in ({'auth': HTTPBasicAuth(CLIENT, SECRET)}, {'client_secret': SECRET, 'include_client_id': True}):
        app = OAuth2Session(client=BackendApplicationClient(CLIENT, scope=['things.read']))
        token = app.fetch_token(token_url, **more)
        expect(token['scope'] == ['things.read'] and 'refresh_token' not in token, f'client credentials: {token}')
    refused('invalid_client', app.fetch_token, token_url, client_secret='wrong', include_client_id=True)
    refused('invalid_client', app.fetch_token, token_url, auth=HTTPBasicAuth(CLIENT, 'wrong'))

    app = OAuth2Session(client=LegacyApplicationClient(CLIENT, scope=SCOPE))
    app.fetch_token(token_url, username=USERNAME, password=PASSWORD, client_id=CLIENT, client_secret=SECRET)
    check_user(app)
    wrong = {'username': USERNAME, 'password': 'wrong', 'client_id': CLIENT, 'client_secret': SECRET}
    refused('invalid_grant', app.fetch_token, token_url, **wrong)


code_flow(None, client_secret=SECRET)
code_flow('S256', client_secret=SECRET, include_client_id=True)
check_refresh()
check_replay()
check_denied()
check_other_grants()
