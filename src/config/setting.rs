//! What is known about one setting: its names, how it is given, what applies without it. The settings themselves stand in
//! [`super::table`].

use std::fmt::Write as _;

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// The flag without its dashes; with underscores it is the key in the settings file.
    pub flag: &'static str,
    /// The environment variable.
    pub env: &'static str,
    /// A second variable that is asked where the first is unset.
    pub env_fallback: Option<&'static str>,
    /// How values are given.
    pub kind: Kind,
    /// How sensitive the value is.
    pub secrecy: Secrecy,
    /// What applies where nobody says anything.
    pub default: Default,
    /// What applies in `dev` instead, where that differs.
    pub dev_default: Option<&'static str>,
    /// What `--help` shows for the value.
    pub value_name: &'static str,
    /// Which commands take it as a flag.
    pub used_by: UsedBy,
    /// What it is for, in one or two sentences.
    pub meaning: &'static str,
}

/// How values are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One value.
    One,
    /// A flag that may be repeated, a comma-separated variable, a list in the file.
    Many,
    /// On or off: a bare flag, or `true` and `false`.
    Switch,
}

/// How sensitive a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// May be shown.
    Public,
    /// May hold a password: never quoted, has a `…_FILE` twin, and may still be a flag.
    Sensitive,
    /// Never a flag, because a process list shows those; never quoted; has a `…_FILE` twin.
    Secret,
}

/// What applies where nobody says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// This text, read as if it had been given.
    Value(&'static str),
    /// Nothing.
    None,
    /// Something that depends on other settings, described by this text.
    Computed(&'static str),
}

/// Which commands take a setting as a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsedBy {
    /// Every command.
    Every,
    /// Every command that opens the database.
    Store,
    /// The server, and commands that look for it.
    Address,
    /// The server alone.
    Server,
}

impl Setting {
    /// The key in the settings file: the flag in snake case.
    pub fn key(&self) -> String {
        self.flag.replace('-', "_")
    }

    /// The variable that names a file to read the value from, for settings that may hold a secret.
    pub fn env_file(&self) -> Option<String> {
        (self.secrecy != Secrecy::Public).then(|| format!("{}_FILE", self.env))
    }

    /// The key of the settings file that does the same.
    pub fn key_file(&self) -> Option<String> {
        (self.secrecy != Secrecy::Public).then(|| format!("{}_file", self.key()))
    }

    /// The default as text for people.
    pub fn default_text(&self) -> &'static str {
        match self.default {
            Default::Value(text) | Default::Computed(text) => text,
            Default::None => "none",
        }
    }

    /// The usual setting: one public value of the server, without a default. The table names what differs.
    pub(super) const fn new(
        flag: &'static str,
        env: &'static str,
        value_name: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self {
            flag,
            env,
            env_fallback: None,
            kind: Kind::One,
            secrecy: Secrecy::Public,
            default: Default::None,
            dev_default: None,
            value_name,
            used_by: UsedBy::Server,
            meaning,
        }
    }
}

/// The table of settings as Markdown, for the README.
pub fn settings_table_markdown() -> String {
    let mut out = String::from("| flag | environment | in the file | default | meaning |\n|---|---|---|---|---|\n");
    for setting in super::table::SETTINGS {
        let repeatable = if setting.kind == Kind::Many { " (repeatable)" } else { "" };
        let flag = match setting.secrecy {
            Secrecy::Secret => "–".to_owned(),
            _ => format!("`--{}`{repeatable}", setting.flag),
        };
        let mut env = format!("`{}`", setting.env);
        if setting.kind == Kind::Many {
            env.push_str(" (comma-separated)");
        }
        if let Some(twin) = setting.env_file() {
            let _ = write!(env, " or `{twin}`");
        }
        if let Some(fallback) = setting.env_fallback {
            let _ = write!(env, ", then `{fallback}`");
        }
        let key =
            if setting.flag == super::table::CONFIG.flag { "–".to_owned() } else { format!("`{}`", setting.key()) };
        let mut default = match setting.default {
            Default::Value(text) => format!("`{text}`"),
            Default::Computed(text) => text.to_owned(),
            Default::None => "none".to_owned(),
        };
        if let Some(dev) = setting.dev_default {
            let _ = write!(default, " (`dev`: `{dev}`)");
        }
        let _ = writeln!(out, "| {flag} | {env} | {key} | {default} | {} |", setting.meaning);
    }
    out
}
