//! The handlers. No client is looked up and no rule is kept, but what is signed, stored, compared and spent is real.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tokio::sync::{Mutex, Semaphore};
use uuid::Uuid;

use super::keys::{Alg, Headers, Keys};
use super::tables::{Digest, LIFE, NewCode, NewToken, Spend, Tables};
use crate::Result;

/// The one password.
pub(super) const PASSWORD: &str = "correct-horse-battery";
/// OWASP's first recommendation for argon2id, which the server follows: KiB, passes, lanes.
const ARGON2: (u32, u32, u32) = (19_456, 2, 1);
const SALT: &[u8] = b"sixteen bytes of";
const ISSUER: &str = "http://localhost:8080";

/// The texts that never change.
#[derive(Debug)]
pub(super) struct Constants {
    pub(super) discovery: Vec<u8>,
    pub(super) jwks: Vec<u8>,
}

/// Everything that the handlers share.
#[derive(Clone)]
pub(super) struct App(Arc<Shared>);

struct Shared {
    discovery: Bytes,
    jwks: Bytes,
    keys: Keys,
    headers: Headers,
    tables: Tables,
    hash: Digest,
    /// As many hashes or RSA signatures at once as there are cores; hashes with memory that is used again.
    cores: Arc<Semaphore>,
    memories: Mutex<Vec<Vec<Block>>>,
}

impl App {
    pub(super) async fn new(database: &str, constants: Constants) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut memories = vec![vec![Block::default(); hasher()?.params().block_count()]; cores];
        let mut hash = [0; 32];
        hasher()?
            .hash_password_into_with_memory(PASSWORD.as_bytes(), SALT, &mut hash, &mut memories[0])
            .map_err(|error| error.to_string())?;
        Ok(Self(Arc::new(Shared {
            discovery: constants.discovery.into(),
            jwks: constants.jwks.into(),
            keys: Keys::generate()?,
            headers: Headers::new(),
            tables: Tables::open(database).await?,
            hash,
            cores: Arc::new(Semaphore::new(cores)),
            memories: Mutex::new(memories),
        })))
    }
}

fn hasher() -> Result<Argon2<'static>> {
    let (memory, passes, lanes) = ARGON2;
    let params = Params::new(memory, passes, lanes, None).map_err(|error| error.to_string())?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

pub(super) fn router(app: App) -> Router {
    Router::new()
        .route("/discovery", get(async |State(App(app)): State<App>| json(app.discovery.clone())))
        .route("/jwks", get(async |State(App(app)): State<App>| json(app.jwks.clone())))
        .route("/insert", post(insert))
        .route("/select", get(userinfo).post(introspect))
        .route("/sign/{alg}", post(sign))
        .route("/refresh", post(refresh))
        .route("/code", get(authorize).post(redeem))
        .route("/argon2", post(verify))
        .with_state(app)
}

/// What went wrong, as a status; the load program shows the text.
struct Failed(StatusCode, String);

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.into().to_string())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

fn refused(why: &str) -> Failed {
    Failed(StatusCode::BAD_REQUEST, why.to_owned())
}

type Answered = std::result::Result<Response, Failed>;

fn json(body: impl Into<Bytes>) -> Response {
    let headers: [(HeaderName, HeaderValue); 2] = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, axum::body::Body::from(body.into())).into_response()
}

/// A random secret, its digest, and the token with it for a row.
struct Bearer {
    digest: Digest,
    text: String,
}

impl Bearer {
    fn new(id: Uuid) -> Result<Self> {
        let mut bytes = [0; 48];
        bytes[..16].copy_from_slice(id.as_bytes());
        aws_lc_rs::rand::fill(&mut bytes[16..]).map_err(|_| "no randomness")?;
        Ok(Self { digest: sha256(&bytes[16..]), text: URL_SAFE_NO_PAD.encode(bytes) })
    }

    /// The row of a token, and the digest of its secret.
    fn parse(text: &str) -> Option<(Uuid, Digest)> {
        let mut bytes = [0; 48];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (length == bytes.len()).then_some(())?;
        Some((Uuid::from_slice(&bytes[..16]).ok()?, sha256(&bytes[16..])))
    }
}

fn sha256(bytes: &[u8]) -> Digest {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
    sum
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// A field of a form or a query.
fn field(form: &[u8], name: &str) -> Option<String> {
    url::form_urlencoded::parse(form).find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

fn token_answer(access: &str, more: &str) -> Response {
    json(format!(r#"{{"access_token":"{access}","token_type":"Bearer","expires_in":{LIFE}{more}}}"#))
}

async fn insert(State(App(app)): State<App>, form: Bytes) -> Answered {
    field(&form, "grant_type").filter(|grant| grant == "client_credentials").ok_or_else(|| refused("grant_type"))?;
    let id = Uuid::now_v7();
    let bearer = Bearer::new(id)?;
    app.tables.insert.ask(NewToken { id, digest: bearer.digest, expires_at: now() + LIFE }).await?;
    Ok(token_answer(&bearer.text, ""))
}

async fn sign(State(App(app)): State<App>, Path(alg): Path<String>, form: Bytes) -> Answered {
    field(&form, "grant_type").filter(|grant| grant == "client_credentials").ok_or_else(|| refused("grant_type"))?;
    let alg = Alg::named(&alg).ok_or_else(|| refused("alg"))?;
    let (id, now) = (Uuid::now_v7(), now());
    let claims = format!(
        r#"{{"iss":"{ISSUER}","sub":"bench","aud":"{ISSUER}","exp":{},"iat":{now},"jti":"{id}","client_id":"bench","cep":0}}"#,
        now + LIFE
    );
    let jws = match alg {
        // A third of a millisecond on a thread that others wait for would hold them all up.
        Alg::Rs256 => {
            let permit = Arc::clone(&app.cores).acquire_owned().await?;
            tokio::task::spawn_blocking(move || {
                let _permit = permit;
                app.keys.sign(alg, app.headers.of(alg), &claims)
            })
            .await??
        }
        Alg::Es256 | Alg::Eddsa => app.keys.sign(alg, app.headers.of(alg), &claims)?,
    };
    Ok(token_answer(&jws, ""))
}

async fn introspect(State(App(app)): State<App>, form: Bytes) -> Answered {
    let token = field(&form, "token").ok_or_else(|| refused("token"))?;
    let Some((id, token)) = live(&app, &token).await? else { return Ok(json(r#"{"active":false}"#)) };
    let (client, exp) = (&token.client_id, token.expires_at);
    let (subject, scope) = (token.user_id.as_ref().unwrap_or(client), &token.scope);
    let iat = exp - LIFE;
    Ok(json(format!(
        r#"{{"active":true,"iss":"{ISSUER}","client_id":"{client}","token_type":"Bearer","scope":"{scope}","sub":"{subject}","username":"{subject}","aud":"{ISSUER}","iat":{iat},"exp":{exp},"jti":"{id}","auth_time":{iat}}}"#
    )))
}

async fn userinfo(State(App(app)): State<App>, headers: HeaderMap) -> Answered {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = bearer.ok_or_else(|| refused("Authorization"))?;
    let Some((_, token)) = live(&app, token).await? else { return Err(refused("invalid_token")) };
    let subject = token.user_id.unwrap_or(token.client_id);
    Ok(json(format!(
        r#"{{"sub":"{subject}","name":"Bench User","given_name":"Bench","family_name":"User","preferred_username":"{subject}"}}"#
    )))
}

async fn live(app: &Shared, token: &str) -> std::result::Result<Option<(Uuid, super::tables::Token)>, Failed> {
    let (id, sum) = Bearer::parse(token).ok_or_else(|| refused("token"))?;
    let found = app.tables.select(id).await?;
    let live = found.filter(|row| verify_slices_are_equal(&sum, &row.digest).is_ok() && row.expires_at > now());
    Ok(live.map(|row| (id, row)))
}

async fn refresh(State(App(app)): State<App>, form: Bytes) -> Answered {
    let token = field(&form, "refresh_token").ok_or_else(|| refused("refresh_token"))?;
    let (id, digest) = Bearer::parse(&token).ok_or_else(|| refused("refresh_token"))?;
    let tokens = NewTokens::new()?;
    let user = app.tables.refresh.ask(tokens.spend(id, digest, [0; 32])).await?;
    tokens.answer(&app, &user.ok_or_else(|| refused("invalid_grant"))?)
}

async fn authorize(State(App(app)): State<App>, RawQuery(query): RawQuery) -> Answered {
    let query = query.unwrap_or_default();
    let parameter = |name| field(query.as_bytes(), name).ok_or_else(|| refused(name));
    let mut challenge = [0; 32];
    URL_SAFE_NO_PAD.decode_slice(parameter("code_challenge")?, &mut challenge)?;
    let id = Uuid::now_v7();
    let code = Bearer::new(id)?;
    app.tables.insert_code.ask(NewCode { id, digest: code.digest, challenge, expires_at: now() + 60 }).await?;
    let location = format!("{}?code={}&state={}", parameter("redirect_uri")?, code.text, parameter("state")?);
    Ok((StatusCode::SEE_OTHER, [(LOCATION, HeaderValue::try_from(location)?)]).into_response())
}

async fn redeem(State(App(app)): State<App>, form: Bytes) -> Answered {
    let (mut code, mut verifier) = (None, None);
    for (name, value) in url::form_urlencoded::parse(&form) {
        match &*name {
            "code" => code = Bearer::parse(&value),
            "code_verifier" => verifier = Some(sha256(value.as_bytes())),
            _ => {}
        }
    }
    let (id, digest) = code.ok_or_else(|| refused("code"))?;
    let challenge = verifier.ok_or_else(|| refused("code_verifier"))?;
    let tokens = NewTokens::new()?;
    let user = app.tables.redeem.ask(tokens.spend(id, digest, challenge)).await?;
    tokens.answer(&app, &user.ok_or_else(|| refused("invalid_grant"))?)
}

/// An access token and a refresh token in one row.
struct NewTokens {
    id: Uuid,
    access: Bearer,
    refresh: Bearer,
    now: i64,
}

impl NewTokens {
    fn new() -> Result<Self> {
        let id = Uuid::now_v7();
        Ok(Self { id, access: Bearer::new(id)?, refresh: Bearer::new(id)?, now: now() })
    }

    const fn spend(&self, id: Uuid, digest: Digest, challenge: Digest) -> Spend {
        Spend {
            id,
            digest,
            challenge,
            new_id: self.id,
            new_digest: self.access.digest,
            new_refresh: self.refresh.digest,
            now: self.now,
        }
    }

    /// With an ID token.
    fn answer(&self, app: &Shared, user: &str) -> Answered {
        let at_hash = URL_SAFE_NO_PAD.encode(&sha256(self.access.text.as_bytes())[..16]);
        let now = self.now;
        let claims = format!(
            r#"{{"sub":"{user}","name":"Bench User","given_name":"Bench","family_name":"User","preferred_username":"{user}","iss":"{ISSUER}","aud":"bench","exp":{},"iat":{now},"auth_time":{now},"at_hash":"{at_hash}"}}"#,
            now + LIFE
        );
        let id_token = app.keys.sign(Alg::Es256, app.headers.of(Alg::Es256), &claims)?;
        let more =
            format!(r#","refresh_token":"{}","scope":"openid profile","id_token":"{id_token}""#, self.refresh.text);
        Ok(token_answer(&self.access.text, &more))
    }
}

async fn verify(State(App(app)): State<App>, form: Bytes) -> Answered {
    let password = field(&form, "password").ok_or_else(|| refused("password"))?;
    let permit = app.cores.acquire().await?;
    let mut memory = app.memories.lock().await.pop().ok_or("no memory for a hash")?;
    let (memory, hash) = tokio::task::spawn_blocking(move || {
        let mut hash = [0; 32];
        let hashed = hasher()?.hash_password_into_with_memory(password.as_bytes(), SALT, &mut hash, &mut memory);
        hashed.map(|()| (memory, hash)).map_err(|error| error.to_string().into())
    })
    .await
    .map_err(|error| error.to_string())
    .and_then(|done: Result<_>| done.map_err(|error| error.to_string()))?;
    app.memories.lock().await.push(memory);
    drop(permit);
    verify_slices_are_equal(&hash, &app.hash).map_err(|_| refused("wrong password"))?;
    Ok(json(r#"{"active":true}"#))
}
