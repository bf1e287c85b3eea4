//! Logos of clients. One that is of somebody else's origin is fetched once, made anew and served from here: nobody else is to learn
//! who signs in, and no bytes but our own are shown under our name.

use std::io::Cursor;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use image::{DynamicImage, ImageFormat, ImageReader, Limits};

use super::body::PageQuery;
use super::discovery::etag;
use super::{App, protocol_error};
use crate::domain::client::Client;
use crate::domain::internal::Internal;
use crate::domain::late::{Late, late};
use crate::domain::secret::Digest;

/// Where they are served; the query names the client and, so that a new logo is another address, the one it came from.
pub(crate) const PATH: &str = "/client-logo";

/// The longest side of what is read, and of what is served.
const MAX_SIDE: u32 = 4_096;
const SIDE: u32 = 224;
/// Memory for reading one.
const MAX_MEMORY: u64 = 64 * 1_024 * 1_024;
/// One transparent pixel, as a GIF.
const EMPTY: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\0\0\0!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
/// A logo changes with its address, and is looked for anew after a day all the same.
const CACHING: &str = "public, max-age=86400";

/// The address under which a page shows a logo of a client; none where it was not to be had lately.
pub(crate) fn shown(app: &App, client: &Client, uri: &str) -> Option<String> {
    let own = uri.strip_prefix(app.provider.issuer()).is_some_and(|rest| rest.starts_with('/'));
    if own || uri.starts_with("data:image/png;base64,") {
        // A stranger does not choose what of ours a page of ours asks for.
        return (!client.is_unverified()).then(|| uri.to_owned());
    }
    let version = version(uri);
    if app.logos.missing.contains_key(&version) {
        return None;
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("client_id", &client.id).append_pair("v", &version);
    uri.starts_with("http").then(|| app.href(&format!("{PATH}?{}", query.finish())))
}

/// `GET /client-logo`
pub(crate) async fn get(State(app): State<App>, headers: HeaderMap, PageQuery(asked): PageQuery) -> Response {
    let nothing = || StatusCode::NOT_FOUND.into_response();
    let Some((client_id, v)) = asked.text("client_id").zip(asked.text("v")) else { return nothing() };
    match app.logos.of(&app, client_id, v).await {
        Ok(Some(png)) => {
            let tag = etag(&png);
            let unchanged = headers.get(IF_NONE_MATCH) == Some(&tag);
            let headers = [
                (CONTENT_TYPE, HeaderValue::from_static("image/png")),
                (CACHE_CONTROL, HeaderValue::from_static(CACHING)),
                (ETAG, tag),
            ];
            match unchanged {
                true => (StatusCode::NOT_MODIFIED, headers).into_response(),
                false => (headers, png).into_response(),
            }
        }
        // The page is drawn already, and a mark of something broken says nothing to whoever looks at it.
        Ok(None) if app.logos.missing.contains_key(v) => {
            ([(CONTENT_TYPE, "image/gif"), (CACHE_CONTROL, "no-store")], EMPTY).into_response()
        }
        Ok(None) => nothing(),
        Err(internal) => protocol_error::internal_error(&internal),
    }
}

/// Which logos could not be had lately: they are not asked for with every page.
#[derive(Clone, Debug)]
pub(crate) struct Logos {
    missing: Late<moka::sync::Cache<String, ()>>,
    /// One image is worked on at a time.
    one: std::sync::Arc<tokio::sync::Semaphore>,
}

impl Default for Logos {
    fn default() -> Self {
        let missing = late(|| {
            let missing = moka::sync::Cache::builder().max_capacity(10_000);
            missing.time_to_live(std::time::Duration::from_hours(1)).build()
        });
        Self { missing, one: std::sync::Arc::new(tokio::sync::Semaphore::new(1)) }
    }
}

impl Logos {
    /// The logo of a client, fetched now where it was not before. Only what a client's document names is ever fetched.
    async fn of(&self, app: &App, client_id: &str, version_asked: &str) -> Result<Option<Vec<u8>>, Internal> {
        let client = app.provider.registry().client(client_id).await?.filter(|client| client.active);
        let Some(client) = client else { return Ok(None) };
        let Some(uri) = client.logo_uris().find(|uri| version(uri) == version_asked) else {
            return Ok(None);
        };
        let address = Digest::of(uri.as_bytes());
        if let Some(png) = app.documents.logo(address).await? {
            return Ok(Some(png));
        }
        if self.missing.contains_key(version_asked) {
            return Ok(None);
        }
        if let Some(png) = self.fetched(app, uri).await {
            app.documents.keep_logo(address, &png, app.clock.now()).await?;
            return Ok(Some(png));
        }
        self.missing.insert(version_asked.to_owned(), ());
        Ok(None)
    }

    async fn fetched(&self, app: &App, uri: &str) -> Option<Vec<u8>> {
        let fetched = match app.provider.outbound().get(uri).await {
            Ok(fetched) => fetched,
            Err(error) => {
                tracing::info!(%error, "a client's logo is not to be had");
                return None;
            }
        };
        let _one = self.one.acquire().await;
        let made = tokio::task::spawn_blocking(move || remade(&fetched.body)).await.ok()?;
        if made.is_none() {
            tracing::info!(uri, "a client's logo is no PNG, JPEG, GIF or WebP within the limits");
        }
        made
    }
}

/// The picture as a PNG of our own making, no larger than it is shown.
fn remade(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    let known = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP];
    reader.format().filter(|format| known.contains(format))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let image = reader.decode().ok()?;
    let image = if image.width().max(image.height()) > SIDE { image.thumbnail(SIDE, SIDE) } else { image };
    let mut png = Vec::new();
    DynamicImage::ImageRgba8(image.into_rgba8()).write_to(&mut Cursor::new(&mut png), ImageFormat::Png).ok()?;
    Some(png)
}

/// What stands for an address in ours.
fn version(uri: &str) -> String {
    B64.encode(&Digest::of(uri.as_bytes()).as_bytes()[..9])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        DynamicImage::new_rgb8(width, height).write_to(&mut Cursor::new(&mut bytes), format).unwrap();
        bytes
    }

    #[test]
    fn a_picture_becomes_a_small_png_and_anything_else_nothing() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP] {
            let png = remade(&picture(500, 100, format)).unwrap();
            let made = image::load_from_memory_with_format(&png, ImageFormat::Png).unwrap();
            assert_eq!((made.width(), made.height()), (224, 45), "{format:?}");
        }
        let trailing = [picture(8, 8, ImageFormat::Png), b"<script>".to_vec()].concat();
        assert!(!remade(&trailing).unwrap().windows(8).any(|bytes| bytes == b"<script>"));
        for other in [&b"<svg xmlns='http://www.w3.org/2000/svg'/>"[..], b"", b"\x89PNG\r\n\x1a\n", b"GIF89a"] {
            assert!(remade(other).is_none());
        }
        assert!(remade(&picture(5_000, 1, ImageFormat::Png)).is_none(), "too wide");
    }
}
