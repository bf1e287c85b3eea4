//! Searches: `?name=x&.user.id=u1&_count=50&_page=2&_sort=-_lastUpdated`.

use super::kind::DocumentKind;
use super::outcome::Outcome;
use super::secret_fields::is_secret;
use crate::domain::nearest::nearest;
use crate::store::documents::{Filter, Order, Query};

/// Results on a page where nobody says.
pub const DEFAULT_COUNT: i64 = 100;
/// And at the most.
pub const MAX_COUNT: i64 = 1_000;
/// A search has no more conditions than this.
pub const MAX_CONDITIONS: usize = 20;
/// It sorts by no more fields.
pub const MAX_ORDERS: usize = 10;
/// It names no more ids.
const MAX_IDS: usize = 1_000;

/// A search, read.
#[derive(Clone, Debug)]
pub struct Search {
    /// What is looked for.
    pub query: Query,
    /// The page, from 1.
    pub page: i64,
    /// The fields to answer with; all where empty.
    pub elements: Vec<String>,
    /// The conditions as they were written, for links.
    pub parameters: Vec<(String, String)>,
}

const CONTROLS: [&str; 9] =
    ["_count", "_page", "_sort", "_elements", "_total", "_id", "_format", "_pretty", "_summary"];

/// Reads the pairs of a query string.
pub fn read(kind: DocumentKind, pairs: &[(String, String)]) -> Result<Search, Outcome> {
    let mut query = Query { filters: Vec::new(), order: Vec::new(), limit: DEFAULT_COUNT, offset: 0, accurate: false };
    let mut search = Search { query: query.clone(), page: 1, elements: Vec::new(), parameters: Vec::new() };
    for (name, value) in pairs {
        match name.as_str() {
            "_count" => query.limit = number(name, value)?.min(MAX_COUNT),
            "_page" => search.page = number(name, value)?.max(1),
            "_sort" => query.order = value.split(',').map(|one| order(kind, one)).collect::<Result<_, _>>()?,
            "_elements" => search.elements = value.split(',').map(|one| one.trim().to_owned()).collect(),
            "_total" => query.accurate = value == "accurate",
            "_id" => query.filters.push(Filter::Id(value.split(',').map(str::to_owned).collect())),
            "_format" | "_pretty" | "_summary" => {}
            _ => query.filters.push(Filter::Field(path(kind, name)?, value.clone())),
        }
        if !matches!(name.as_str(), "_page") {
            search.parameters.push((name.clone(), value.clone()));
        }
    }
    let ids = |filter: &Filter| if let Filter::Id(ids) = filter { ids.len() } else { 0 };
    for (found, most, what) in [
        (query.filters.len(), MAX_CONDITIONS, "conditions"),
        (query.order.len(), MAX_ORDERS, "fields in _sort"),
        (query.filters.iter().map(ids).sum(), MAX_IDS, "ids"),
    ] {
        if found > most {
            return Err(Outcome::new(400, "invalid", format!("a search has at most {most} {what}")));
        }
    }
    query.offset = (search.page - 1).saturating_mul(query.limit);
    search.query = query;
    Ok(search)
}

fn number(name: &str, value: &str) -> Result<i64, Outcome> {
    let read = value.parse().ok().filter(|number: &i64| (0..=1_000_000).contains(number));
    read.ok_or_else(|| Outcome::new(400, "invalid", format!("{name} must be a number between 0 and 1,000,000")))
}

fn order(kind: DocumentKind, text: &str) -> Result<Order, Outcome> {
    let (descending, name) = text.trim().strip_prefix('-').map_or((false, text.trim()), |name| (true, name));
    let field = match name {
        "_id" | "id" => return Ok(Order::Id { descending }),
        "_lastUpdated" => return Ok(Order::Updated { descending }),
        "_createdAt" => return Ok(Order::Created { descending }),
        _ => path(kind, name)?,
    };
    Ok(Order::Field { path: field, descending })
}

/// `.user.id` or the name of a field at the top.
fn path(kind: DocumentKind, name: &str) -> Result<Vec<String>, Outcome> {
    let invalid = |text: String| Outcome::new(400, "invalid", text);
    let plain = name.strip_prefix('.').unwrap_or(name);
    let segments: Vec<&str> = plain.split('.').collect();
    let word = |segment: &&str| {
        !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    };
    if segments.len() > 8 || !segments.iter().all(word) {
        return Err(invalid(format!(
            "{name} is no search parameter; use the name of a field, or a path like .user.id"
        )));
    }
    if is_secret(kind, &segments) {
        return Err(invalid(format!("{name} is secret and cannot be searched")));
    }
    let known = || kind.fields().iter().map(|field| field.name);
    if !known().any(|field| field == segments[0]) {
        let hint = nearest(segments[0], known().chain(CONTROLS))
            .map(|near| format!("; did you mean {near}?"))
            .unwrap_or_default();
        return Err(invalid(format!("{name} is no search parameter of {}{hint}", kind.name())));
    }
    // A reference is searched by the id it refers to.
    let mut path: Vec<String> = segments.into_iter().map(str::to_owned).collect();
    let is_reference =
        |field: &super::schema::Field| field.name == path[0] && matches!(field.kind, super::schema::Kind::Reference);
    if path.len() == 1 && kind.fields().iter().any(is_reference) {
        path.push("id".into());
    }
    Ok(path)
}
