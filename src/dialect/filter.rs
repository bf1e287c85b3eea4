//! What makes something else of what fills a place of a template.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::Value;
use uuid::Uuid;

use crate::domain::nearest::nearest;
use crate::domain::secret::Digest;

#[derive(Clone, Copy, Debug)]
pub(super) enum Filter {
    Uuid,
    Digits,
    Hash,
    Words,
    Resource,
    Permissions,
    Date,
    Text,
}

const FILTERS: [(&str, Filter); 8] = [
    ("uuid", Filter::Uuid),
    ("digits", Filter::Digits),
    ("hash", Filter::Hash),
    ("words", Filter::Words),
    ("resource", Filter::Resource),
    ("permissions", Filter::Permissions),
    ("date", Filter::Date),
    ("text", Filter::Text),
];

impl Filter {
    /// The filter of a name; the refusal says which there are.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let found = FILTERS.iter().find(|(name, _)| *name == text);
        found.map(|(_, filter)| *filter).ok_or_else(|| {
            let known = || FILTERS.iter().map(|(name, _)| *name);
            let hint = nearest(text, known())
                .map_or_else(|| known().collect::<Vec<_>>().join(", "), |near| format!("did you mean {near}?"));
            format!("`{text}` is not a filter: {hint}")
        })
    }

    /// What it makes of a value, where it can.
    pub(super) fn of(self, value: &Value) -> Option<Value> {
        let text = as_text(value);
        Some(match self {
            Self::Uuid => match Uuid::parse_str(&text) {
                Ok(uuid) => uuid.to_string().into(),
                Err(_) => uuid::Builder::from_random_bytes(digest(&text).get(..16)?.try_into().ok()?)
                    .into_uuid()
                    .to_string()
                    .into(),
            },
            Self::Digits => {
                let number = digest(&text).iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
                format!("1{:020}", number % 10_u128.pow(20)).into()
            }
            Self::Hash => B64.encode(digest(&text)).into(),
            Self::Words => text.split_whitespace().collect::<Vec<_>>().into(),
            Self::Resource => {
                let address = text.split_whitespace().find(|word| word.contains("://"))?;
                address.rsplit_once('/').map(|(resource, _)| resource.trim_end_matches('/'))?.into()
            }
            Self::Permissions => {
                let named =
                    |word: &str| word.contains("://").then(|| word.rsplit('/').next()).flatten().map(str::to_owned);
                let words = text.split_whitespace().map(|word| named(word).unwrap_or_else(|| word.to_owned()));
                let words: Vec<String> = words.filter(|word| word != ".default" && word != "offline_access").collect();
                return (!words.is_empty()).then(|| words.join(" ").into());
            }
            Self::Date => jiff::Timestamp::from_second(value.as_i64()?).ok()?.to_string().into(),
            Self::Text => text.into(),
        })
    }
}

fn digest(text: &str) -> Vec<u8> {
    Digest::of(text.as_bytes()).as_bytes().to_vec()
}

/// A value as text.
pub(super) fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
