"""Authlib as application: discovery, the code flow with PKCE, tokens and what can be done with them.

Run by tests/interop/main.rs: client.py ISSUER
"""

import sys
import warnings
from urllib.parse import parse_qsl, urlsplit

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url
from joserfc import jwt
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from browser import Browser, expect

warnings.simplefilter('ignore')
ISSUER = sys.argv[1]
CALLBACK = 'http://localhost:4200/cb'
SCOPE = 'openid profile email'

metadata = requests.get(get_well_known_url(ISSUER, external=True), timeout=20).json()
# Authlib allows no issuer without https, but for this check.
https = {name: value.replace('http://', 'https://') if isinstance(value, str) else value for name, value in metadata.items()}
OpenIDProviderMetadata(https).validate()
expect(metadata['issuer'] == ISSUER, f'the issuer of the discovery document: {metadata}')
jwks = requests.get(metadata['jwks_uri'], timeout=20).json()


class AccessTokens(JWTBearerTokenValidator):
    """A resource server that takes JWT access tokens (RFC 9068)."""

    def get_jwks(self):
        return jwks


resource_server = AccessTokens(issuer=ISSUER, resource_server=ISSUER)


def refused(error, call, *arguments, **named):
    """The call must fail with this OAuth error."""
    try:
        answer = call(*arguments, **named)
    except OAuthError as found:
        expect(found.error == error, f'{error}, not {found}')
    else:
        sys.exit(f'NOT AS EXPECTED: {error}, but it was answered: {answer}')


def application(client_id, secret=None, method=None, **more):
    return OAuth2Session(
        client_id,
        secret,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        scope=SCOPE,
        redirect_uri=CALLBACK,
        code_challenge_method='S256',
        **more,
    )


def id_token(app, token, nonce=None):
    """What the ID token says, validated as Authlib does."""
    algorithms = metadata['id_token_signing_alg_values_supported']
    decoded = jwt.decode(token['id_token'], KeySet.import_key_set(jwks), registry=JWSRegistry(algorithms=algorithms))
    params = {'nonce': nonce, 'client_id': app.client_id, 'access_token': token['access_token']}
    options = {'iss': {'essential': True, 'value': ISSUER}, 'aud': {'essential': True, 'value': app.client_id}}
    claims = CodeIDToken(decoded.claims, decoded.header, options, params)
    claims.validate(leeway=5)
    expect(claims['sub'] == 'alice' and 'at_hash' in claims, f'the ID token: {claims}')
    return claims, decoded.header


def code_flow(app):
    """Sends the browser; answers the address it came back to, and what the token request needs."""
    verifier, nonce = generate_token(48), generate_token()
    url, state = app.create_authorization_url(metadata['authorization_endpoint'], code_verifier=verifier, nonce=nonce)
    returned = Browser().authorize(url)
    return {'authorization_response': returned, 'state': state, 'code_verifier': verifier}, nonce


def check_code_flow(client_id, secret, method, jwt_access_token):
    app = application(client_id, secret, method)
    endpoint = metadata['token_endpoint']
    request, nonce = code_flow(app)
    refused('invalid_grant', app.fetch_token, endpoint, **{**request, 'code_verifier': generate_token(48)})
    token = app.fetch_token(endpoint, **request)
    claims, header = id_token(app, token, nonce)
    expect(claims['nonce'] == nonce, f'the nonce: {claims}')
    if client_id.startswith('jwt-'):
        expect(header['alg'] == client_id.removeprefix('jwt-'), f'the algorithm of the ID token: {header}')
    if jwt_access_token:
        access = resource_server.authenticate_token(token['access_token'])
        resource_server.validate_token(access, ['profile'], None)
        expect(access['sub'] == 'alice' and access['client_id'] == client_id, f'the access token: {access}')

    user = app.get(metadata['userinfo_endpoint']).json()
    expect((user['sub'], user['email'], user['given_name']) == ('alice', 'alice@example.com', 'Alice'), f'userinfo: {user}')

    first = token
    token = app.refresh_token(endpoint)
    expect(token['refresh_token'] != first['refresh_token'], 'the refresh token is rotated')
    expect(token['access_token'] != first['access_token'], 'a refresh gives a new access token')
    id_token(app, token)
    narrow = app.refresh_token(endpoint, scope='openid')
    expect(narrow['scope'] == 'openid', f'a narrower scope: {narrow}')
    refused('invalid_scope', app.refresh_token, endpoint, scope=f'{SCOPE} phone')

    if secret:
        active = app.introspect_token(metadata['introspection_endpoint'], narrow['access_token']).json()
        expect(active['active'] is True and active['sub'] == 'alice' and active['scope'] == 'openid', f'introspection: {active}')
    answer = app.revoke_token(metadata['revocation_endpoint'], narrow['refresh_token'], 'refresh_token')
    expect(answer.status_code == 200, f'revocation: {answer.status_code} {answer.text}')
    refused('invalid_grant', app.refresh_token, endpoint, refresh_token=narrow['refresh_token'])
    expect(app.get(metadata['userinfo_endpoint']).status_code == 401, 'the access token ends with its refresh token')
    if secret:
        gone = app.introspect_token(metadata['introspection_endpoint'], narrow['access_token']).json()
        expect(gone == {'active': False}, f'introspection of a revoked token: {gone}')


def check_client_credentials(client_id, jwt_access_token):
    app = OAuth2Session(client_id, 'client-secret', scope='things.read')
    token = app.fetch_token(metadata['token_endpoint'], grant_type='client_credentials')
    expect(token['scope'] == 'things.read' and 'refresh_token' not in token, f'client credentials: {token}')
    if jwt_access_token:
        access = resource_server.authenticate_token(token['access_token'])
        resource_server.validate_token(access, ['things.read'], None)
        expect(access['sub'] == client_id, f'the subject is the client: {access}')
    active = app.introspect_token(metadata['introspection_endpoint'], token['access_token']).json()
    expect(active['active'] is True and active['client_id'] == client_id, f'introspection: {active}')
    app.revoke_token(metadata['revocation_endpoint'], token['access_token'], 'access_token')
    active = app.introspect_token(metadata['introspection_endpoint'], token['access_token']).json()
    expect(active['active'] is False, 'a revoked token is inactive')
    wrong = OAuth2Session(client_id, 'wrong')
    refused('invalid_client', wrong.fetch_token, metadata['token_endpoint'], grant_type='client_credentials')


for method in ['client_secret_basic', 'client_secret_post']:
    check_code_flow('web-app', 'client-secret', method, jwt_access_token=False)
for algorithm in ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA']:
    # Authlib takes every one for ID tokens, where it is given the server's list; for access tokens it has a list of its own.
    jwt_access_token = algorithm in ['RS256', 'ES256']
    check_code_flow(f'jwt-{algorithm}', 'client-secret', 'client_secret_basic', jwt_access_token)
    check_client_credentials(f'jwt-{algorithm}', jwt_access_token)
check_code_flow('spa', None, 'none', jwt_access_token=False)
check_client_credentials('web-app', jwt_access_token=False)

# A person may say no.
app = application('web-app', 'client-secret')
url, state = app.create_authorization_url(metadata['authorization_endpoint'], prompt='consent')
query = dict(parse_qsl(urlsplit(Browser().authorize(url, 'deny')).query))
expect((query['error'], query['state'], query['iss']) == ('access_denied', state, ISSUER), f'a refusal: {query}')
