//! The forms of a page: as much HTML as getting through a login page needs.

/// A form: where it goes and the fields it has filled in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) filled: Vec<(String, String)>,
    /// The names of all its fields.
    names: Vec<String>,
}

impl Form {
    /// The form of a page that has this field; `None` where there is none.
    pub(crate) fn with_field(html: &str, field: &str) -> Option<Self> {
        forms(html).find(|form| form.names.iter().any(|name| name == field))
    }

    /// The first form of a page.
    pub(crate) fn first(html: &str) -> Option<Self> {
        forms(html).next()
    }

    /// Its body, with these fields over those that it has filled in.
    pub(crate) fn body<'a>(&'a self, fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
        let fields: Vec<(&str, &str)> = fields.into_iter().collect();
        let kept = self.filled.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let kept = kept.filter(|(name, _)| !fields.iter().any(|(given, _)| given == name));
        super::http::form(kept.chain(fields.iter().copied()))
    }
}

fn forms(html: &str) -> impl Iterator<Item = Form> {
    html.split("<form").skip(1).map(|part| {
        let inside = part.split("</form").next().unwrap_or_default();
        let mut form = Form { action: attribute(tag(inside), "action").unwrap_or_default(), ..Form::default() };
        for input in inside.split("<input").skip(1).map(tag) {
            let Some(name) = attribute(input, "name") else { continue };
            if attribute(input, "type").is_some_and(|kind| kind == "hidden") {
                form.filled.push((name.clone(), attribute(input, "value").unwrap_or_default()));
            }
            form.names.push(name);
        }
        form
    })
}

/// What belongs to a tag, up to its `>`.
fn tag(text: &str) -> &str {
    let mut quote = None;
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (None, '>') => return &text[..at],
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
    }
    text
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag;
    loop {
        let at = rest.find(name)?;
        let before = rest[..at].chars().next_back();
        let after = &rest[at + name.len()..];
        rest = after;
        let value = after.trim_start().strip_prefix('=').map(str::trim_start);
        let Some(value) = value.filter(|_| before.is_none_or(char::is_whitespace)) else { continue };
        let found = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].split(quote).next(),
            _ => value.split_whitespace().next(),
        };
        return found.map(unescape);
    }
}

/// The character references that templates write.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let known = after.split_once(';').and_then(|(name, after)| Some((character(name)?, after)));
        if let Some((character, after)) = known {
            plain.push(character);
            rest = after;
        } else {
            plain.push('&');
            rest = after;
        }
    }
    plain + rest
}

fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "lt" => Some('<'),
        "gt" => Some('>'),
        _ => {
            let number = name.strip_prefix('#')?;
            let hex = number.strip_prefix(['x', 'X']).map(|hex| u32::from_str_radix(hex, 16));
            char::from_u32(hex.unwrap_or_else(|| number.parse()).ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<p>a</p><form method="get" action="/search"><input name=q></form>
        <form data-action="no" method='post' action="/login?a=1&#38;b=2&amp;c">
        <input type="hidden" name="csrf" value="x&gt;y&#x26;"><input id="username" name="username" value="">
        <input name="password" type="password"></form>"#;

    #[test]
    fn the_form_with_the_field_is_found_and_filled_in() {
        let form = Form::with_field(PAGE, "password").unwrap();
        assert_eq!(form.action, "/login?a=1&b=2&c");
        assert_eq!(form.filled, [("csrf".to_owned(), "x>y&".to_owned())]);
        assert_eq!(form.body([("username", "a b")]), "csrf=x%3Ey%26&username=a+b");
        assert_eq!(form.body([("csrf", "z")]), "csrf=z");
    }

    #[test]
    fn pages_without_it_have_none() {
        assert!(Form::with_field(PAGE, "totp").is_none());
        assert!(Form::first("<p>no form</p>").is_none());
        assert_eq!(Form::first(PAGE).unwrap().action, "/search");
        assert!(Form::first("<form action=\"/x").is_some(), "a page that breaks off is no panic");
    }

    #[test]
    fn what_is_no_reference_stays() {
        assert_eq!(unescape("a&b &nope; &#xD800; &lt;"), "a&b &nope; &#xD800; <");
    }
}
