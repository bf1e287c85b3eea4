//! Paths of a provider's endpoints, in which a variable stands for any one segment.

/// A path that leads to an endpoint.
#[derive(Debug)]
pub(super) struct Route {
    /// The name of the endpoint's metadata.
    pub(super) endpoint: &'static str,
    /// The path, with the values of its variables.
    pub(super) path: String,
    /// What the endpoint's parameters are called there, and what we call them.
    pub(super) renamed: Vec<(String, String)>,
    /// A segment each; `None` is a variable, which may be anything.
    segments: Vec<Option<String>>,
}

impl Route {
    /// Reads a path such as `/{tenant}/oauth2/v2.0/token`.
    pub(super) fn parse(endpoint: &'static str, text: &str, variables: &[(String, String)]) -> Result<Self, String> {
        let path = filled(text, variables)?;
        let segments = text.split('/').skip(1);
        let segments = segments.map(|segment| (!segment.starts_with('{')).then(|| segment.to_owned())).collect();
        Ok(Self { endpoint, path, renamed: Vec::new(), segments })
    }

    /// Whether a path leads here.
    pub(super) fn leads(&self, path: &str) -> bool {
        let mut given = path.split('/').skip(1);
        let fits = self.segments.iter().all(|segment| match (given.next(), segment) {
            (Some(given), Some(segment)) => given == segment,
            (Some(given), None) => !given.is_empty(),
            (None, _) => false,
        });
        fits && given.next().is_none()
    }
}

/// A path with the values of its variables.
pub(super) fn filled(text: &str, variables: &[(String, String)]) -> Result<String, String> {
    let Some(below) = text.strip_prefix('/') else {
        return Err(format!("the path `{text}` does not begin with a slash"));
    };
    let mut path = String::new();
    for segment in below.split('/') {
        path.push('/');
        match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => {
                let value = variables.iter().find(|(variable, _)| variable == name);
                path.push_str(&value.ok_or_else(|| format!("`{name}` in the path `{text}` is not in variables"))?.1);
            }
            None if segment.bytes().all(is_plain) => path.push_str(segment),
            None => {
                return Err(format!(
                    "`{segment}` in the path `{text}` is neither letters, digits, - . _ ~ nor a variable in braces"
                ));
            }
        }
    }
    Ok(path)
}

/// What stands in a path as it is (RFC 3986 §2.3).
pub(super) const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}
