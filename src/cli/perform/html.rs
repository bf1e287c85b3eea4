//! As much of HTML as it takes to fill in the forms of a login page: tags with their attributes, and the text behind an id.

/// A tag with its attributes, and where the text behind it begins.
#[derive(Debug)]
pub(super) struct Tag<'a> {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    rest: &'a str,
}

impl Tag<'_> {
    /// An attribute's value.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The opening tags of a page, and closing ones with their `/`.
pub(super) fn tags(mut page: &str) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    while let Some((_, rest)) = page.split_once('<') {
        if let Some(comment) = rest.strip_prefix("!--") {
            page = comment.split_once("-->").map_or("", |(_, rest)| rest);
            continue;
        }
        let end = rest.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(rest.len());
        let name = rest[..end].to_ascii_lowercase();
        let (attributes, rest) = attributes(&rest[end..]);
        page = rest;
        tags.push(Tag { name, attributes, rest });
    }
    tags
}

fn attributes(mut text: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    loop {
        text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if text.is_empty() {
            return (found, text);
        }
        if let Some(rest) = text.strip_prefix('>') {
            return (found, rest);
        }
        // An equals sign at the beginning belongs to the name.
        let first = text.chars().next().map_or(0, char::len_utf8);
        let length = text[first..].find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/'));
        let (name, rest) = text.split_at(length.map_or(text.len(), |length| first + length));
        text = rest.trim_start();
        let mut value = "";
        if let Some(rest) = text.strip_prefix('=') {
            let rest = rest.trim_start();
            (value, text) = match rest.chars().next().filter(|quote| matches!(quote, '"' | '\'')) {
                Some(quote) => rest[1..].split_once(quote).unwrap_or((&rest[1..], "")),
                None => rest.split_at(rest.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(rest.len())),
            };
        }
        found.push((name.to_ascii_lowercase(), unescaped(value)));
    }
}

/// The text of the element with this id, as far as the next end of an element of its name.
pub(super) fn text_of(page: &str, id: &str) -> Option<String> {
    let tags = tags(page);
    let tag = tags.iter().find(|tag| tag.get("id") == Some(id))?;
    let inside = tag.rest.split(&format!("</{}", tag.name)).next()?;
    let parts = inside.split('<').enumerate();
    let text: String = parts
        .map(|(at, part)| if at == 0 { part } else { part.split_once('>').map_or("", |(_, text)| text) })
        .collect();
    Some(unescaped(&text).split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Text with its character references replaced.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let named = part.split_once(';').and_then(|(name, rest)| Some((character(name)?, rest)));
        if let Some((character, rest)) = named {
            out.push(character);
            out.push_str(rest);
        } else {
            out.push('&');
            out.push_str(part);
        }
    }
    out
}

fn character(name: &str) -> Option<char> {
    let code = |text: &str, radix| u32::from_str_radix(text, radix).ok().and_then(char::from_u32);
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => match name.strip_prefix('#')? {
            hex if hex.starts_with(['x', 'X']) => code(&hex[1..], 16),
            decimal => code(decimal, 10),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_attributes_and_text_are_read() {
        let page = "<!-- <form> --><FORM action='/a?b&#38;c' method=post><input disabled name=\"x\" value=\"&quot;>\"/></form>\
                    <p id=e>no <b>way</b> &amp; more</p>";
        let tags = tags(page);
        let names: Vec<&str> = tags.iter().map(|tag| tag.name.as_str()).collect();
        assert_eq!(names, ["form", "input", "/form", "p", "b", "/b", "/p"]);
        assert_eq!((tags[0].get("action"), tags[0].get("method")), (Some("/a?b&c"), Some("post")));
        assert_eq!((tags[1].get("value"), tags[1].get("disabled")), (Some("\">"), Some("")));
        assert_eq!(text_of(page, "e").as_deref(), Some("no way & more"));
    }

    proptest::proptest! {
        #[test]
        fn no_page_makes_it_panic(page in "[<>='\"/&;#a-zä \\n!-]{0,80}") {
            let _ = (tags(&page), text_of(&page, "a"));
        }
    }
}
