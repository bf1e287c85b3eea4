//! The languages that a person reads, and what of a client is said in them (BCP 47, RFC 4647, RFC 7591 §2.2).

/// No more languages are looked at than this, of whatever is said.
const MOST: usize = 20;
/// The language of our own pages, and what is taken for that of a text without a tag.
const OWN: &str = "en";

/// Language ranges, the most wanted first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Languages(Vec<String>);

impl Languages {
    /// Those of `ui_locales` (OpenID Connect Core §3.1.2.1), then those of `Accept-Language` (RFC 9110 §12.5.4).
    pub fn read(ui_locales: Option<&str>, accept_language: Option<&str>) -> Self {
        let asked = ui_locales.into_iter().flat_map(|text| text.split(' ')).map(str::to_owned);
        let mut accepted: Vec<(&str, f32)> = accept_language
            .into_iter()
            .flat_map(|text| text.split(','))
            .take(MOST)
            .map(|entry| {
                let (range, weight) = entry.split_once(';').unwrap_or((entry, "q=1"));
                let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok());
                (range.trim(), weight.unwrap_or(0.0))
            })
            .filter(|(_, weight)| *weight > 0.0)
            .collect();
        accepted.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let accepted = accepted.into_iter().map(|(range, _)| range.to_owned());
        let ranges = asked.chain(accepted).filter(|range| !range.is_empty()).take(MOST);
        Self(ranges.map(|range| range.to_ascii_lowercase()).collect())
    }

    /// Which of the tags that there are, all in lower case, is wanted most, by lookup (RFC 4647 §3.4): a range serves for shorter tags of the same
    /// language too. `None`: the text without a tag, which comes before those in languages wanted less than our own.
    pub fn choose(&self, is_there: impl Fn(&str) -> bool) -> Option<&str> {
        for range in &self.0 {
            let mut range = range.as_str();
            loop {
                if is_there(range) {
                    return Some(range);
                }
                match range.rsplit_once('-') {
                    Some((shorter, _)) => range = shorter,
                    None if range == OWN => return None,
                    None => break,
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_wanted_language_that_there_is_serves() {
        let tags = ["de", "fr-ca", "ja-jpan-jp", "en-gb"];
        for (ui_locales, accept, expected) in [
            (None, None, None),
            (Some("de-CH fr"), Some("fr-CA"), Some("de")),
            (Some("xx"), Some("fr-CA;q=0.5, DE;q=0.8"), Some("de")),
            (None, Some("ja-Jpan-JP-x-any"), Some("ja-jpan-jp")),
            (None, Some("fr, *;q=0.1"), None),
            (None, Some("en-US, de;q=0.9"), None),
            (None, Some("en-GB, de;q=0.9"), Some("en-gb")),
            (None, Some("de;q=0, de;q=nonsense, de;level=1"), None),
        ] {
            assert_eq!(
                Languages::read(ui_locales, accept).choose(|tag| tags.contains(&tag)),
                expected,
                "{ui_locales:?} {accept:?}"
            );
        }
    }
}
